"""Hardware: cards by any of their names, this machine without torch, prices with a source."""

from __future__ import annotations

import pytest

from tasks.errors import RecipeError
from tasks.estimates.hardware import card, cards, from_listing, hardware_for, this_cpu
from tasks.recipe import BudgetSection


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("a100", "a100-80"),
        ("A100-80GB", "a100-80"),
        ("NVIDIA A100-SXM4-40GB", "a100-40"),
        ("rtx 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("Tesla T4", "t4"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA RTX A6000", "a6000"),
        ("RTX_3090", "rtx-3090"),
        ("Tesla V100-SXM2-16GB", "v100-16"),
    ],
)
def test_a_card_has_many_names(name: str, key: str) -> None:
    assert card(name).name == key


def test_a_typo_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(RecipeError, match=r"rtx-409.*Did you mean rtx-4090.*vram_gb"):
        card("rtx-409")


def test_no_name_means_two_cards() -> None:
    names = [n for key, entry in cards().items() for n in (key, *entry.get("aliases", ()))]
    assert len(names) == len(set(names))


def test_every_price_range_rises_and_says_where_it_comes_from() -> None:
    for name in cards():
        found = card(name)
        assert found.price_source
        if found.usd_per_hour:
            assert found.usd_per_hour[0] < found.usd_per_hour[1]
            assert "2026" in found.price_source


def test_own_cards_are_listed_without_a_price() -> None:
    found = from_listing(["NVIDIA H200, 143771", "NVIDIA H200, 143771"])
    assert (found.name, found.count, found.usd_per_hour) == ("h200", 2, None)
    assert found.device_class == "cuda:h200"


def test_an_unknown_own_card_has_the_memory_it_reports() -> None:
    found = from_listing(["NVIDIA RTX 2000 Ada, 16380"])
    assert found.kind == "unknown"
    assert 15 < found.usable_gib < 16
    assert found.tflops[0] < found.tflops[1]


def test_this_machine_is_a_cpu_with_steady_memory() -> None:
    first = this_cpu()
    this_cpu.cache_clear()
    assert this_cpu() == first
    assert first.device_class == "cpu"
    assert first.usable_gib > 0
    assert first.tflops[0] > 0


def test_the_budget_names_the_hardware() -> None:
    assert hardware_for(BudgetSection(gpu="cpu")).kind == "cpu"
    assert hardware_for(BudgetSection(gpu="a100", gpu_count=8)).title == "8 x a100-80"
    own = hardware_for(BudgetSection(gpu="my card", vram_gb=20, usd_per_gpu_hour=0.5))
    assert (own.kind, own.usable_gib) == ("unknown", 19.5)
    assert own.usd_per_hour == (0.5, 0.5)
    assert own.price_source == "budget.usd_per_gpu_hour"
