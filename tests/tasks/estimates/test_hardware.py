"""Hardware: cards by any of their names, this machine without torch, prices with a source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.errors import RecipeError
from tasks.estimates.hardware import (
    card,
    cards,
    from_listing,
    hardware_for,
    list_gpus,
    this_cpu,
)
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
        ("A100-40GB", "a100-40"),
        ("a100_40gb", "a100-40"),
        ("A100 40 GB", "a100-40"),
        ("A100:40GB", "a100-40"),
        ("A100 (40GB)", "a100-40"),
        ("A100-SXM-80GB", "a100-80"),
        ("A100-80GB-SXM4", "a100-80"),
        ("NVIDIA A100 80GB PCIe", "a100-80"),
        ("nvidia-a100-80gb", "a100-80"),
        ("V100-32GB", "v100-32"),
        ("H100-SXM5", "h100"),
        ("H100 SXM5 80GB", "h100"),
        ("H100-PCIe-80GB", "h100-pcie"),
        ("H200-141GB", "h200"),
        ("AMD Instinct MI300X OAM", "mi300x"),
        ("RTX4090-24GB", "rtx-4090"),
    ],
)
def test_a_card_has_many_names(name: str, key: str) -> None:
    assert card(name).name == key


@pytest.mark.parametrize("name", ["A100-60GB", "h100-nvl-94gb", "rtx-3080-12gb"])
def test_a_size_the_catalogue_does_not_have_is_no_card_of_it(name: str) -> None:
    with pytest.raises(RecipeError, match=r"not a card.*vram_gb"):
        card(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("A100", r"40 or 80 GB; 80 GB was taken \(a100-80\).*write a100-40 or a100-80"),
        ("NVIDIA A100-SXM4", r"40 or 80 GB; 80 GB was taken"),
        ("nvidia-tesla-v100", r"16 or 32 GB; 16 GB was taken \(v100-16\)"),
        ("3080", r"10 or 12 GB; 10 GB was taken.*budget\.vram_gb"),
        ("RTX 3060", r"8 or 12 GB; 12 GB was taken"),
    ],
)
def test_a_name_that_leaves_the_size_open_says_what_was_taken(name: str, told: str) -> None:
    assert re.search(told, hardware_for(BudgetSection(gpu=name)).taken or "")


@pytest.mark.parametrize("name", ["a100-40", "A100-80GB", "4090", "h100", "t4", "v100-32gb"])
def test_a_name_that_says_its_size_needs_no_remark(name: str) -> None:
    assert card(name).taken is None


def test_the_driver_is_believed_about_the_size_of_its_card() -> None:
    found = from_listing(["NVIDIA GeForce RTX 3080, 12288"])
    assert (found.name, found.usable_gib, found.taken) == ("rtx-3080", 11.7, None)
    assert from_listing(["NVIDIA GeForce RTX 3080, 10240"]).usable_gib == 9.7
    for name, entry in cards().items():
        mebibytes = round(entry["memory_gb"] * 1024)
        assert from_listing([f"{name}, {mebibytes}"]).usable_gib == entry["usable_gib"]


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


def test_twenty_cards_and_more_say_where_their_figures_come_from() -> None:
    found = list_gpus()
    assert len(found) >= 20
    for row in found:
        assert row.memory_gb * 0.85 < row.usable_gib * 2**30 / 1e9 < row.memory_gb * 1.08, row.name
        assert row.gbs is not None
        assert row.specs_source
        assert (row.usd_per_hour is None) == (row.price_source == "no price known")


def test_the_users_file_adds_cards_and_prices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hardware.yaml"
    file.write_text("cards:\n  rtx-4090: {usd: 0.2}\n  my card: {memory_gb: 20}\n")
    monkeypatch.setenv("FINETUNE_HARDWARE", str(file))
    known = card("4090")
    assert (known.usd_per_hour, known.price_source) == ((0.2, 0.2), "your hardware.yaml")
    assert known.tflops == (165, 165)
    own = card("my card")
    assert (own.usable_gib, own.usd_per_hour, own.kind) == (19.5, None, "unknown")
    assert own.tflops[0] < own.tflops[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cards: 3", "has no cards"),
        ("[", "cannot be read"),
        ("cards: {x: {}}", "memory_gb is missing"),
        ("cards: {x: {memory_gb: 8, price: 3}}", "price: not one of"),
    ],
)
def test_a_wrong_file_of_the_user_is_told(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    monkeypatch.setenv("FINETUNE_HARDWARE", str(file))
    with pytest.raises(RecipeError, match=message):
        card("rtx-4090")
