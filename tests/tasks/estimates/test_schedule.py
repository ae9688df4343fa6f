"""Schedule: batch sizes multiply to the wanted one, and steps are those of transformers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import RecipeError
from tasks.estimates.architecture import architecture
from tasks.estimates.facts import Facts
from tasks.estimates.hardware import card, this_cpu
from tasks.estimates.plan import alpha_for, learning_rate, make_plan, precision
from tasks.estimates.schedule import accumulation_for, candidates, optimizer_steps
from tasks.recipe import LoraSection, TrainingSection


def training(**values: object) -> TrainingSection:
    return TrainingSection.model_validate(values)


def test_the_worked_example_of_the_docstring() -> None:
    assert optimizer_steps(1500, 16, 1, training()) == 282


@given(
    per_device=st.none() | st.integers(1, 8),
    accumulation=st.none() | st.integers(1, 8),
    wanted=st.none() | st.integers(1, 64),
    processes=st.integers(1, 4),
)
def test_batches_multiply_exactly_or_the_recipe_is_told(
    per_device: int | None, accumulation: int | None, wanted: int | None, processes: int
) -> None:
    section = training(
        per_device_train_batch_size=per_device,
        gradient_accumulation_steps=accumulation,
        global_batch_size=wanted,
        num_processes=processes,
    )
    parts = (per_device or 1) * (accumulation or 1) * processes
    exact = per_device is not None and accumulation is not None
    if wanted is not None and (wanted % parts or (exact and parts != wanted)):
        with pytest.raises(RecipeError, match="global_batch_size"):
            candidates(section)
        return
    found = candidates(section)
    assert found
    for batch in found:
        assert per_device in (None, batch)
        assert accumulation in (None, accumulation_for(section, batch))
        if wanted is not None:
            assert batch * accumulation_for(section, batch) * processes == wanted


def test_the_default_is_sixteen_sequences_a_step() -> None:
    assert candidates(training()) == (16, 8, 4, 2, 1)
    assert [accumulation_for(training(), n) for n in candidates(training())] == [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    ("model", "method", "rate"),
    [
        ("llama3.1-8b", "lora", 2e-4),
        ("llama3.1-8b", "qlora", 2e-4),
        ("llama3.1-8b", "full", 2e-5),
    ],
)
def test_rates_of_large_models_are_the_guides(model: str, method: str, rate: float) -> None:
    assert learning_rate(method, architecture(model).parameters) == rate


def test_rates_of_tiny_models_are_the_measured_ones_and_fall_with_size() -> None:
    assert learning_rate("lora", 2_000_000) == 6e-3
    assert learning_rate("full", 2_000_000) == 1e-3
    rates = [learning_rate("lora", 10**k) for k in range(5, 12)]
    assert rates == sorted(rates, reverse=True)
    assert learning_rate("lora", 50_000_000) == 1e-3


@pytest.mark.parametrize(
    ("r", "variant", "alpha"), [(16, "lora", 32), (64, "rslora", 16), (128, "rslora", 23)]
)
def test_alpha_keeps_the_scale_at_two(r: int, variant: str, alpha: int) -> None:
    assert alpha_for(r, variant) == alpha


def facts(**changes: object) -> Facts:
    known = Facts(
        architecture=architecture("llama3.1-8b"),
        hardware=card("a100"),
        rows=10_000,
        train_tokens=10_240_000,
        length=1024,
    )
    return known.model_copy(update=changes)


def test_precision_follows_the_device() -> None:
    assert precision(facts(), "lora") == "bfloat16"
    assert precision(facts(hardware=card("t4")), "lora") == "float16"
    assert precision(facts(hardware=card("v100")), "full") == "float16"
    cpu = this_cpu().model_copy(update={"bf16": False})
    assert precision(facts(hardware=cpu), "lora") == "float32"
    amx = cpu.model_copy(update={"bf16": True})
    assert precision(facts(hardware=amx), "lora") == "bfloat16"
    assert precision(facts(hardware=amx), "full") == "float32"
    assert precision(facts(dtype="float16"), "lora") == "float16"


def test_checkpointing_is_chosen_only_where_it_is_needed() -> None:
    assert not make_plan(facts(), "lora", 16).hyperparameters.gradient_checkpointing
    assert make_plan(
        facts(hardware=card("4090")), "lora", 16
    ).hyperparameters.gradient_checkpointing
    assert make_plan(facts(), "qlora", 16).hyperparameters.gradient_checkpointing


@pytest.mark.parametrize("setting", [True, False])
def test_checkpointing_of_the_recipe_wins(setting: bool) -> None:
    section = training(gradient_checkpointing=setting)
    plan = make_plan(facts(training=section), "lora", 16)
    assert plan.hyperparameters.gradient_checkpointing == setting


def test_max_steps_of_the_recipe_sets_steps_and_tokens() -> None:
    plan = make_plan(facts(training=training(max_steps=10)), "lora", 16)
    assert plan.hyperparameters.steps == 10
    assert plan.cost.train_tokens == 10 * 16 * 1024


def test_the_guides_example_costs_what_it_computes() -> None:
    """Llama-2-7B, 10,000 rows of 512 tokens, 3 epochs: 6.1e17 FLOP (methods.md 5.3)."""
    from tasks.estimates.cost import flops_per_token

    model = architecture("llama2-7b")
    tokens = 10_000 * 3 * 512
    plain = flops_per_token(model, "full", 0, 512, checkpointing=False) * tokens
    again = flops_per_token(model, "full", 0, 512, checkpointing=True) * tokens
    assert plain == pytest.approx(6.1e17, rel=0.02)
    assert again == pytest.approx(8.1e17, rel=0.02)
    rented = facts(architecture=model, hardware=card("a100", 4), rows=10_000, length=512)
    rented = rented.model_copy(update={"train_tokens": 10_000 * 512, "packing": True})
    cost = make_plan(rented, "full", 1).cost
    assert cost.low_seconds / 3600 <= 0.34
    assert cost.high_seconds / 3600 >= 0.45


def test_a_cpu_run_of_two_million_parameters_holds_the_measured_times() -> None:
    """stack.md: 1,500 rows x 3 epochs took 73 s with LoRA r 16 and 62 s in full on two cores."""
    from tasks.estimates.architecture import from_config

    config = {"model_type": "llama", "hidden_size": 192, "intermediate_size": 512}
    config |= {"num_hidden_layers": 4, "num_attention_heads": 6, "vocab_size": 1024}
    tiny = from_config(config | {"tie_word_embeddings": True}, "tiny")
    cpu = this_cpu().model_copy(update={"tflops": (0.2, 0.2), "usable_gib": 8.0})
    known = facts(architecture=tiny, hardware=cpu, rows=1500, train_tokens=150_000, length=128)
    for method, seconds in (("lora", 73), ("full", 62)):
        cost = make_plan(known, method, 16).cost
        assert cost.low_seconds < seconds < cost.high_seconds
    assert all(make_plan(known, m, 16).memory.fits for m in ("full", "lora", "qlora"))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 300),
    per_device=st.integers(1, 9),
    accumulation=st.integers(1, 5),
    epochs=st.sampled_from([0.3, 1.0, 2.5, 3.0]),
)
@pytest.mark.slow
def test_steps_are_those_of_the_trainer(
    rows: int, per_device: int, accumulation: int, epochs: float
) -> None:
    from types import SimpleNamespace

    from torch.utils.data import DataLoader
    from transformers import Trainer

    arguments = SimpleNamespace(
        max_steps=-1, num_train_epochs=epochs, gradient_accumulation_steps=accumulation
    )
    fake = SimpleNamespace(
        get_total_train_batch_size=lambda _: per_device * accumulation,
        get_sp_size=lambda: 1,
        num_examples=lambda _: rows,
    )
    loader = DataLoader(list(range(rows)), batch_size=per_device)
    theirs = Trainer.set_initial_training_values(fake, arguments, loader)[-1]
    section = training(num_train_epochs=epochs)
    assert optimizer_steps(rows, per_device, accumulation, section) == theirs


def test_the_recipes_alpha_and_variant_win() -> None:
    section = LoraSection(variant="rslora", lora_alpha=64)
    chosen = make_plan(facts(lora=section), "lora", 32).hyperparameters
    assert chosen.effective_scale == pytest.approx(11.3, abs=0.02)
