"""Decision: the worked cases, the thresholds, and properties that hold for all facts."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.recommend import sweep
from tasks.contracts import Recommendation
from tasks.decision import Facts, decide
from tasks.estimates.architecture import architecture
from tasks.estimates.hardware import card, this_cpu
from tasks.estimates.memory import GIB, Setup, estimate
from tasks.recipe import BudgetSection, LoraSection, RequirementsSection, TrainingSection
from tests.tasks.cases import CASES, LABELS, facts_of


def decided(recommendation: Recommendation) -> set[str]:
    return {reason.rule for reason in recommendation.reasons if reason.outcome == "decided"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].split()[0])
def test_a_worked_case_is_decided_as_expected(case: list[str]) -> None:
    _, text, expected, because, _ = case
    found = decide(facts_of(text))
    method = {"full": "full", "LoRA": "lora", "QLoRA": "qlora", "nothing": "nothing_fits"}
    assert found.method == method.get(expected.split()[0], "prompting")
    settings_found = found.hyperparameters
    rank = re.search(r"r (\d+)", expected)
    if rank:
        assert settings_found is not None
        assert settings_found.r == int(rank[1])
        assert settings_found.variant == ("rslora" if "rsLoRA" in expected else "lora")
        adapters = re.search(r"(\d+) adapters", expected)
        assert found.adapters == (int(adapters[1]) if adapters else 1)
        assert settings_found.effective_scale == pytest.approx(2, rel=0.02)
    assert (found.conflict is not None) == ("**conflict**" in because or "fits" in expected)
    names = [name for name in re.split(r"[,;] ", because) if "conflict" not in name]
    assert {LABELS[name] for name in names} <= decided(found)


@pytest.mark.parametrize("case", [c for c in CASES if "/" in c[4]], ids=lambda c: c[0].split()[0])
def test_the_closed_form_gives_the_worked_memory(case: list[str]) -> None:
    """The table has bfloat16 adapters over NF4, and an optimizer that loops over tensors."""
    facts = facts_of(case[1])
    rank = re.search(r"r (\d+)", case[2])
    runner_up = decide(facts).runner_up
    r = int(rank[1]) if rank else runner_up.r if runner_up else 16
    for method, wanted in zip(("full", "lora", "qlora"), case[4].split(" / "), strict=True):
        setup = Setup(
            architecture=facts.architecture,
            method=method,
            r=r,
            length=facts.length,
            adapter_bytes=2 if method == "qlora" else 4,
            optim="adamw_torch_loop",
            devices=facts.hardware.count,
        )
        figure = estimate(setup, None).high_bytes / GIB
        assert figure == pytest.approx(float(wanted), rel=0.04, abs=0.12)


def test_the_answer_says_which_size_of_card_it_is_about() -> None:
    """`A100` alone is 40 or 80 GB; a silent 80 has cost people a run."""
    named = [w for w in decide(facts_of("llama3.1-8b, A100")).warnings if "was taken" in w]
    said = "budget.gpu = A100: this card has 40 or 80 GB; 80 GB was taken (a100-80)."
    assert named == [f"{said} To be sure, write a100-40 or a100-80."]
    assert not any("was taken" in w for w in decide(facts_of("llama3.1-8b, a100-40")).warnings)


def test_every_case_of_the_table_is_tested() -> None:
    assert len(CASES) == 57


def test_a_budget_below_the_computed_cost_forbids_full() -> None:
    text = "llama3.1-8b, 8 x a100-80; 99 %; critical; 50,000 rows"
    free = decide(facts_of(text))
    assert free.method == "full"
    assert free.cost is not None
    upper = free.cost.high_usd
    assert upper is not None
    factor = 2000 / upper  # lift the price so that the middle band holds the threshold
    facts = facts_of(text)
    assert facts.hardware.usd_per_hour is not None
    price = tuple(x * factor for x in facts.hardware.usd_per_hour)
    facts = facts.model_copy(
        update={"hardware": facts.hardware.model_copy(update={"usd_per_hour": price})}
    )
    for share, method in ((0.9, "lora"), (1.1, "full")):
        budget = BudgetSection(max_usd=2000 * share)
        found = decide(facts.model_copy(update={"budget": budget}))
        assert found.method == method
        assert ("COST" in decided(found)) == (share < 1)
        assert (found.conflict is not None) == (share < 1)


def test_a_time_limit_below_the_computed_time_forbids_full() -> None:
    text = "llama3.1-8b, 8 x a100-80; 99 %; critical; 50,000 rows"
    facts = facts_of(text, budget=BudgetSection(max_hours=6.5))
    assert decided(decide(facts)) >= {"TIME"}


def test_a_budget_below_every_cost_fits_nothing() -> None:
    found = decide(facts_of("llama3.1-8b, rtx-4090; $1"))
    assert found.method == "nothing_fits"
    assert "budget.max_usd ($1.00)" in str(found.conflict)


@pytest.mark.parametrize(
    ("profile", "method", "rank"), [("evidence", "lora", 64), ("guide", "full", None)]
)
def test_the_profiles_differ_on_forgetting(profile: str, method: str, rank: int | None) -> None:
    text = "llama3.1-8b, 8 x a100-80; $50,000; continual: forgetting; 100,000 rows"
    found = decide(facts_of(text, rules=profile))
    assert found.method == method
    assert found.hyperparameters is not None
    assert found.hyperparameters.r == rank
    assert found.rules.startswith(profile)
    assert any("forgetting" in warning for warning in found.warnings)


def test_c19_has_lora_r_64_as_runner_up() -> None:
    text = next(case[1] for case in CASES if case[0].startswith("C19"))
    runner_up = decide(facts_of(text)).runner_up
    assert runner_up is not None
    assert (runner_up.method, runner_up.r) == ("lora", 64)


def test_nothing_fits_says_what_is_needed_what_is_there_and_what_would_fit() -> None:
    said = str(decide(facts_of("llama3.1-70b, rtx-4090", method="full")).conflict)
    assert "needs 12" in said
    assert "weights" in said
    assert "23.5 GiB usable" in said
    assert "No method fits at any length" in said
    near = str(decide(facts_of("llama2-7b, l4", method="full")).conflict)
    assert "Nearest that fits: method: lora" in near


def test_a_method_fixed_in_the_recipe_wins_and_says_what_the_rules_would_do() -> None:
    found = decide(facts_of("llama3.2-1b, rtx-4090; 20 tasks", method="full"))
    assert found.method == "full"
    assert found.asked_for == "full"
    assert any("the rules would choose LoRA" in warning for warning in found.warnings)
    assert {r.overruled_by for r in found.reasons if r.rule == "Q3.many"} == {
        "method: full in the recipe"
    }


def test_settings_of_the_recipe_win() -> None:
    lora = LoraSection(r=12, lora_alpha=7, variant="lora", target_modules=("q_proj", "v_proj"))
    training = TrainingSection(learning_rate=3e-4, per_device_train_batch_size=2)
    found = decide(facts_of("llama3.1-8b, h200; 96 %", lora=lora, training=training))
    chosen = found.hyperparameters
    assert chosen is not None
    assert (chosen.r, chosen.lora_alpha, chosen.variant) == (12, 7, "lora")
    assert chosen.learning_rate == 3e-4
    assert chosen.per_device_train_batch_size * chosen.gradient_accumulation_steps == 16
    assert chosen.trainable_parameters == 12 * 32 * (4096 + 4096 + 4096 + 1024)
    assert any(r.overruled_by == "lora.r in the recipe" for r in found.reasons)


def test_insisting_on_few_rows_trains_with_a_warning() -> None:
    assert decide(facts_of("llama3.1-8b, h200; 300 rows")).method == "prompting"
    found = decide(facts_of("llama3.1-8b, h200; 300 rows", insists=True))
    assert found.method == "lora"
    assert any("300 usable rows" in warning for warning in found.warnings)


models = st.sampled_from(["llama3.2-1b", "llama3.1-8b", "llama3.1-70b", "qwen2.5-0.5b"])
machines = st.one_of(
    st.builds(card, st.sampled_from(["t4", "4090", "a100", "h200"]), st.sampled_from([1, 2, 8])),
    st.builds(this_cpu),
)
requirements = st.builds(
    RequirementsSection,
    accuracy=st.none() | st.sampled_from([0.9, 0.95, 0.96, 0.98, 0.981, 0.99, 1.0]),
    tasks=st.integers(1, 8),
    deployment=st.sampled_from(["cloud", "edge"]),
    continual=st.sampled_from(["none", "sequential", "forgetting"]),
    complexity=st.sampled_from(["simple", "medium", "complex", "very_complex", "near_full"]),
    critical=st.booleans(),
    domain_shift=st.sampled_from(["none", "some", "very_different"]),
    rapid=st.sampled_from(["no", "updates", "ab_testing"]),
)
budgets = st.builds(
    BudgetSection,
    max_usd=st.none() | st.sampled_from([1, 999, 1000, 4999, 5000, 10_000, 10_001, 50_000]),
    max_hours=st.none() | st.sampled_from([0.1, 10, 1000]),
)
every_facts = st.builds(
    lambda model, hardware, rows, length, **rest: Facts(
        architecture=architecture(model),
        hardware=hardware,
        rows=rows,
        train_tokens=rows * length,
        length=length,
        **rest,
    ),
    model=models,
    hardware=machines,
    rows=st.sampled_from([1, 499, 500, 999, 9_999, 10_000, 200_000]),
    length=st.sampled_from([64, 1024, 8192]),
    requirements=requirements,
    budget=budgets,
    method=st.sampled_from(["auto", "auto", "full", "lora", "qlora"]),
    rules=st.sampled_from(["evidence", "guide"]),
    insists=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(every_facts)
def test_every_facts_get_a_decision_with_a_reason_for_each_question(facts: Facts) -> None:
    found = decide(facts)
    questions = {reason.question for reason in found.reasons}
    assert len([q for q in questions if q.startswith(("What may", "Which", "How many"))]) == 3
    assert {"How accurate must it be?", "Where and how does it run?", "Does it keep learning?"} <= (
        questions
    )
    assert any(reason.outcome == "decided" for reason in found.reasons)
    for reason in found.reasons:
        assert (reason.outcome == "overruled") == (reason.overruled_by is not None)
    if found.method in ("full", "lora", "qlora"):
        assert found.hyperparameters is not None
        assert found.memory is not None
        assert found.memory.fits
        assert found.would_change
    if found.method == "nothing_fits":
        assert found.conflict


@settings(max_examples=60, deadline=None)
@given(every_facts)
def test_full_that_is_wanted_but_not_chosen_is_never_silent(facts: Facts) -> None:
    found = decide(facts)
    wanted = [r for r in found.reasons if r.argues_for.startswith("full (")]
    if facts.method == "auto" and wanted and found.method in ("lora", "qlora"):
        assert found.conflict is not None
        assert "forbidden" in found.conflict


@settings(max_examples=60, deadline=None)
@given(every_facts)
def test_a_record_survives_its_json(facts: Facts) -> None:
    found = decide(facts)
    assert Recommendation.model_validate_json(found.model_dump_json()) == found


TRAINED = ("full", "lora", "qlora")


@settings(max_examples=60, deadline=None)
@given(every_facts, st.sampled_from([1.01, 1.5, 4.0]), st.sampled_from([1.01, 3.0, 100.0]))
def test_more_memory_or_money_never_makes_a_feasible_plan_infeasible(
    facts: Facts, memory: float, money: float
) -> None:
    if decide(facts).method not in TRAINED:
        return
    hardware = facts.hardware.model_copy(update={"usable_gib": facts.hardware.usable_gib * memory})
    assert decide(facts.model_copy(update={"hardware": hardware})).method in TRAINED
    if facts.budget.max_usd is not None:
        budget = facts.budget.model_copy(update={"max_usd": facts.budget.max_usd * money})
        assert decide(facts.model_copy(update={"budget": budget})).method in TRAINED


@settings(max_examples=60, deadline=None)
@given(every_facts, st.sampled_from([1, 2, 8]), st.sampled_from([65, 1500, 16_384]))
def test_longer_rows_or_bigger_batches_never_need_less(
    facts: Facts, batch: int, length: int
) -> None:
    def needs(batch: int, length: int) -> list[int]:
        training = TrainingSection(
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=2,
            gradient_checkpointing=True,
            num_processes=2,
            accelerate_config="multi_gpu",  # left open, what does not fit whole is sharded
        )
        update = {"training": training, "length": length, "train_tokens": facts.rows * length}
        found = decide(facts.model_copy(update={**update, "insists": True}))
        return [option.memory.high_bytes for option in found.comparison]

    least = needs(batch, length)
    for more in (needs(batch + 1, length), needs(batch, length + 1), needs(2 * batch, 2 * length)):
        assert all(one <= other for one, other in zip(least, more, strict=True))


@settings(max_examples=40, deadline=None)
@given(every_facts)
def test_the_same_facts_get_the_same_answer(facts: Facts) -> None:
    assert decide(facts) == decide(facts)


def test_a_thousand_decisions_take_about_a_second() -> None:
    """A planner sweeps; measured by bench/recommend.py, here with room for a busy machine."""
    facts = sweep(200)
    for one in facts[:20]:
        decide(one)
    start = time.process_time()
    for one in facts:
        decide(one)
    assert time.process_time() - start < 200 * 0.003
