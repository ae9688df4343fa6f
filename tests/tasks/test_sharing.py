"""How processes share the work: chosen from the memory that each way takes, and said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.contracts import Reason, Recommendation
from tasks.decision import decide
from tasks.errors import RecipeError
from tasks.estimates.architecture import architecture
from tasks.estimates.facts import Facts, facts_for
from tasks.estimates.hardware import from_listing, this_cpu
from tasks.estimates.memory import estimate
from tasks.estimates.plan import make_plan
from tasks.estimates.profiles import devices_of
from tasks.estimates.setups import Setup
from tasks.recipe import LoraSection, QuantizationSection, TrainingSection
from tasks.reports.recommendation_yaml import recommendation_yaml
from tests.records import chat_rows, make_recipe, make_splits
from tests.tasks.cases import facts_of
from tests.tiny import build_tiny_model

FULL_8B = "llama3.1-8b, 8 x a100-80; 99 %; critical; 50,000 rows"
LORA_8B = "llama3.1-8b, 8 x a100-80"


def chosen(found: Recommendation) -> str:
    assert found.hyperparameters is not None
    return found.hyperparameters.accelerate_config


def reason(found: Recommendation) -> Reason:
    (one,) = [reason for reason in found.reasons if reason.rule == "processes"]
    return one


def with_training(facts: Facts, **training: object) -> Facts:
    count = max(2, facts.hardware.count)
    section = TrainingSection.model_validate({"num_processes": count} | training)
    return facts.model_copy(update={"training": section})


def test_what_fits_whole_is_not_sharded() -> None:
    found = decide(facts_of(LORA_8B))
    assert (found.method, chosen(found)) == ("lora", "multi_gpu")
    assert reason(found).argues_for == "accelerate_config: multi_gpu"
    assert "Sharding would only add traffic" in reason(found).why
    assert "sharded over 8" in reason(found).answer


def test_what_does_not_fit_whole_is_sharded_and_the_figures_say_why() -> None:
    found = decide(facts_of(FULL_8B))
    assert (found.method, chosen(found)) == ("full", "fsdp2")
    assert found.memory is not None
    assert found.memory.fits
    said = reason(found)
    assert said.outcome == "decided"
    assert said.answer.startswith("at least ")
    figures = said.answer.removeprefix("at least ").split(", ")
    whole, shared, usable = (float(part.split()[0]) for part in figures)
    assert shared < usable < whole
    assert shared == pytest.approx(found.memory.high_bytes / 2**30, abs=0.06)
    assert "zero3 shares the same" in said.why
    assert "need DeepSpeed" in said.why


def test_one_device_has_nothing_to_share() -> None:
    found = decide(facts_of("llama3.1-8b, a100-80"))
    assert chosen(found) == "multi_gpu"
    assert not [reason for reason in found.reasons if reason.rule == "processes"]


@pytest.mark.parametrize("profile", ["multi_gpu", "fsdp2", "zero2", "zero3"])
def test_the_recipes_word_wins(profile: str) -> None:
    facts = with_training(facts_of(LORA_8B), accelerate_config=profile)
    found = decide(facts)
    assert chosen(found) == profile
    assert reason(found).argues_for == f"accelerate_config: {profile}, as the recipe says"
    assert found.hyperparameters is not None
    page = recommendation_yaml(found, facts.training, QuantizationSection())
    assert f"accelerate_config: {profile}" in page
    assert "num_processes: 8" in page


def test_a_profile_that_does_not_fit_forbids_full() -> None:
    found = decide(with_training(facts_of(FULL_8B), accelerate_config="multi_gpu"))
    assert found.method == "lora"
    assert "M1" in found.blocked


def test_what_cannot_be_sharded_stays_whole_or_is_refused() -> None:
    facts = facts_of(LORA_8B, lora=LoraSection(variant="adalora"))
    found = decide(facts)
    assert (found.method, chosen(found)) == ("lora", "multi_gpu")
    assert "Sharding is out: training.accelerate_config: fsdp2 with lora.var" in reason(found).why
    with pytest.raises(RecipeError, match="it ranks the singular values"):
        decide(with_training(facts, accelerate_config="fsdp2"))
    held_back = facts_of(FULL_8B, method="full", ewc=True)
    found = decide(held_back)
    assert found.method == "nothing_fits"
    assert "It was not sharded over them: training.accelerate_config: fsdp2 with ewc" in str(
        found.conflict
    )


def test_this_machine_gets_a_process_for_each_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = from_listing(["NVIDIA A100-SXM4-80GB, 81920"] * 4)
    monkeypatch.setattr("tasks.estimates.hardware.detect", lambda: cards)
    model, base = architecture("llama3.1-8b"), build_tiny_model(tmp_path / "base")
    silent = make_recipe(base, tmp_path / "raw.jsonl")
    splits = make_splits(tmp_path, silent, {"train": chat_rows(40)})
    for training, budget, processes, devices in (
        ({}, {}, 4, 4),
        ({"num_processes": 2}, {}, 2, 2),
        ({}, {"gpu": "a100-80", "gpu_count": 8}, 1, 8),  # another machine's cards: only said
    ):
        recipe = make_recipe(base, tmp_path / "raw.jsonl", training=training, budget=budget)
        facts = facts_for(recipe, model, splits)
        assert facts.training.num_processes == processes
        assert devices_of(facts) == devices
        settings = make_plan(facts, "lora", 16).hyperparameters
        assert settings.num_processes == processes


def test_deepspeed_is_for_cards() -> None:
    facts = facts_of(LORA_8B, hardware=this_cpu())
    small = facts.model_copy(update={"architecture": architecture("qwen2.5-0.5b")})
    with pytest.raises(RecipeError, match="the plan is for a CPU. fsdp2 shards on CPUs, too"):
        decide(with_training(small, accelerate_config="zero2"))
    assert chosen(decide(with_training(small, accelerate_config="fsdp2"))) == "fsdp2"
    assert chosen(decide(with_training(small))) == "multi_gpu"


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_the_more_is_shared_the_less_a_device_holds(method: str) -> None:
    def high(profile: str, devices: int = 8) -> int:
        setup = Setup(
            architecture=architecture("llama3.1-8b"), method=method, r=16, length=1024,
            devices=devices, profile=profile,
        )  # fmt: skip
        return estimate(setup, None).high_bytes

    assert high("fsdp2") <= high("zero2") < high("multi_gpu")
    assert high("fsdp2") <= high("zero3")
    assert high("fsdp2", 16) < high("fsdp2", 8)
    assert high("multi_gpu", 16) == high("multi_gpu", 8)
    assert high("multi_gpu", 8) > high("multi_gpu", 1), "DDP's buckets copy every gradient"
