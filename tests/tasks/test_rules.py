"""Rules: the guide's, all of them; removing, inverting or shifting any is noticed by a case."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.arguments import rules
from tasks.contracts import Recommendation
from tasks.decision import Facts, decide
from tasks.errors import RecipeError
from tasks.estimates import settings
from tasks.estimates.architecture import read_asset
from tasks.estimates.parameters import variant_for
from tasks.estimates.plan import alpha_for, learning_rate
from tasks.recipe import LoraSection
from tasks.recipe_file import load_recipe
from tests.tasks.cases import Expected, at_the_limits, facts_of, more_cases, worked_cases
from tests.tasks.the_guide import ARGUES_FOR, WARNS, rules_that_speak

RULES: list[dict[str, Any]] = read_asset("rules.yaml")["rules"]
#: Reasons that are no rule of the file: a question nobody answered, the default, the last resort.
NO_RULE = {"Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "default", "recipe", "M0"}
EXPECTED = [*worked_cases(), *more_cases(), *at_the_limits()]


def problem(case: Expected, found: Recommendation) -> str | None:
    """Return in what a decision departs from the guide, if it does."""
    chosen, facts = found.hyperparameters, case.facts
    if case.method not in (None, found.method):
        return f"{found.method} instead of {case.method}"
    if case.r is not None and (chosen is None or chosen.r != case.r):
        return f"another rank than {case.r}"
    if case.conflict is not None and case.conflict != (found.conflict is not None):
        return "the conflict"
    if case.adapters is not None and case.adapters != found.adapters:
        return "the adapters"
    if case.scale is not None:
        assert chosen is not None
        assert chosen.effective_scale is not None
        if abs(chosen.effective_scale - case.scale) > 0.05 * case.scale:
            return f"scale {chosen.effective_scale}"
    if not case.decided <= {r.rule for r in found.reasons if r.outcome == "decided"}:
        return f"not decided by {sorted(case.decided)}"
    fired = {reason.rule for reason in found.reasons} - NO_RULE
    if fired != rules_that_speak(facts, found):
        return f"fired: {fired ^ rules_that_speak(facts, found)}"
    return _effects(found)


def _effects(found: Recommendation) -> str | None:
    """Return in what the effect of a rule that spoke departs from what it argues for."""
    for reason in found.reasons:
        argued = ARGUES_FOR.get(reason.rule)
        trained = found.method in ("full", "lora", "qlora")
        overruled = reason.outcome == "overruled"
        if trained and argued and found.method not in argued and not overruled:
            return f"{reason.rule} agrees with {found.method}"
        if trained and argued and found.method in argued and overruled and not _rank(found, reason):
            return f"{reason.rule} is overruled by {found.method}"
        adapter = found.method in ("lora", "qlora")
        if adapter and reason.rule.startswith("X") and _rank(found, reason) and not overruled:
            return f"{reason.rule} agrees with another rank"
        word = WARNS.get(reason.rule)
        if word and not any(word in warning for warning in found.warnings):
            return f"{reason.rule} does not warn"
    return None


def _rank(found: Recommendation, reason: Any) -> bool:
    """Whether a rule can be overruled by rank: it holds for a range that the rank left."""
    ranges = {"X1": (8, 16), "X3": (16, 32), "X4": (8, 16), "X6": (16, 16), "X7": (8, 8)}
    ranges |= {"X8": (4, 8), "Q4.above": (64, 1024), "Q4.middle": (64, 1024)}
    ranges |= {"Q6.sequential": (64, 1024), "Q5.ab": (8, 8)}
    assert found.hyperparameters is not None
    low, high = ranges.get(reason.rule, (0, 1024))
    return not low <= (found.hyperparameters.r or 0) <= high


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: case.name)
def test_the_rules_that_speak_are_those_of_the_guide(case: Expected) -> None:
    assert problem(case, decide(case.facts)) is None


def negated(condition: dict[str, Any]) -> dict[str, Any]:
    """Return the condition that holds where this one does not (for facts that are known)."""
    return {"any": [_part(name, wanted) for name, wanted in condition.items()]}


def _part(name: str, wanted: Any) -> dict[str, Any]:
    other = {"below": "at_least", "at_least": "below", "above": "at_most", "at_most": "above"}
    every = {
        "complexity": ["simple", "medium", "complex", "very_complex", "near_full"],
        "continual": ["none", "sequential", "forgetting"],
        "deployment": ["cloud", "edge"],
        "rapid": ["no", "updates", "ab_testing"],
        "domain_shift": ["none", "some", "very_different"],
        "gpu_kind": ["cpu", "consumer", "single", "unknown"],
        "method": ["full", "lora", "qlora"],
        "asked_for": ["auto", "full", "lora", "qlora"],
        "variant": ["lora", "rslora", "dora", "lora_plus", "lora_fa", "adalora", "pissa"],
        "targets": ["minimum", "better", "maximum"],
    }
    if name == "any":
        merged: dict[str, Any] = {}
        for part in wanted:
            merged |= {key: next(iter(_part(key, value).values())) for key, value in part.items()}
        return merged
    if isinstance(wanted, dict):
        return {"any": [{name: {other[word]: limit}} for word, limit in wanted.items()]}
    if isinstance(wanted, bool):
        return {name: not wanted}
    if isinstance(wanted, int):
        return {name: {"above": wanted}}
    unwanted = wanted if isinstance(wanted, list) else [wanted]
    return {name: [value for value in every[name] if value not in unwanted]}


def mutants() -> Iterator[tuple[str, int, Callable[[dict[str, Any]], dict[str, Any] | None]]]:
    """Yield a name, the place of a rule, and what a mutation makes of it (None: removed)."""
    swap = {("full",): ["adapters"], ("adapters",): ["full"], ("qlora",): ["full"]}
    strict = {"below": "at_most", "at_most": "below", "above": "at_least", "at_least": "above"}
    for place, rule in enumerate(RULES):
        name = f"{rule['id']}{'-' + rule['profile'] if 'profile' in rule else ''}"
        if "refuses" in rule:
            continue
        yield f"{name}: removed", place, lambda _: None
        yield f"{name}: negated", place, lambda r: r | {"when": negated(r["when"])}
        for key in ("wants", "forbids", "unless", "rank", "warns", "differs"):
            if key in rule:
                yield (
                    f"{name}: no {key}",
                    place,
                    lambda r, k=key: {**r, k: {} if k == "rank" else None},
                )
        if "wants" in rule:
            yield f"{name}: forbids", place, lambda r: {**r, "wants": None, "forbids": "full"}
        if "forbids" in rule:
            yield f"{name}: wants", place, lambda r: {**r, "forbids": None, "wants": "full"}
        if rule["id"] in ARGUES_FOR:
            turned = swap.get(tuple(rule["methods"]), ["qlora"])
            yield f"{name}: argues otherwise", place, lambda r, m=turned: r | {"methods": m}
        for key, value in rule.get("rank", {}).items():
            if key == "firm":
                rest = {k: v for k, v in rule["rank"].items() if k != "firm"}
                yield f"{name}: not firm", place, lambda r, v=rest: r | {"rank": v}
            elif key != "range":
                half = {**rule["rank"], key: value // 2}
                yield f"{name}: {key} halved", place, lambda r, v=half: r | {"rank": v}
        for fact, wanted in rule["when"].items():
            for word in wanted if isinstance(wanted, dict) else ():
                when = {
                    **rule["when"],
                    fact: {strict.get(k, k) if k == word else k: v for k, v in wanted.items()},
                }
                yield f"{name}: {fact} {strict[word]}", place, lambda r, w=when: r | {"when": w}


MUTANTS = list(mutants())
#: The rules that speak in each case, as the file has them: where a mutant is looked for first.
SPEAK = [frozenset(reason.rule for reason in decide(case.facts).reasons) for case in EXPECTED]


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, dict | None], None]]:
    """Give a function that puts another rule in a place of the file, for this test."""

    def forget() -> None:
        for remembered in (rules._rules, rules._stage, rules._places):
            remembered.cache_clear()
        settings.rule.cache_clear()
        learning_rate.cache_clear()

    def change(place: int, rule: dict[str, Any] | None) -> None:
        whole = copy.deepcopy(read_asset("rules.yaml"))
        whole["rules"][place : place + 1] = [] if rule is None else [rule]

        def read(name: str) -> Any:
            return whole if name == "rules.yaml" else read_asset(name)

        monkeypatch.setattr(rules, "read_asset", read)
        monkeypatch.setattr(settings, "read_asset", read)
        forget()

    yield change
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant[0])
def test_a_changed_rule_is_noticed_by_a_case(mutant: Any, changed: Any) -> None:
    _, place, change = mutant
    changed(place, change(copy.deepcopy(RULES[place])))
    own = RULES[place]["id"]
    order = sorted(range(len(EXPECTED)), key=lambda i: (own not in SPEAK[i], -i))
    assert any(noticed(EXPECTED[i]) for i in order)


def noticed(case: Expected) -> bool:
    try:
        return problem(case, decide(case.facts)) is not None or differs(case) is not None
    except (StopIteration, KeyError, TypeError, AttributeError):
        return True


def differs(case: Expected) -> str | None:
    """Return whether the answer fails to say where the two profiles part."""
    found = decide(case.facts)
    fired = {reason.rule for reason in found.reasons}
    for rule, word in (("Q6.forgetting", "orgetting must be avoided"), ("alpha.rslora", "rsLoRA")):
        if rule in fired and found.hyperparameters and not any(word in x for x in found.warnings):
            return rule
    return None


def test_every_rule_has_an_id_a_source_a_reason_and_a_question() -> None:
    questions = read_asset("rules.yaml")["questions"]
    seen: set[tuple[str, str | None]] = set()
    for rule in RULES:
        key = (rule["id"], rule.get("profile"))
        assert key not in seen
        assert (rule["id"], None) not in seen
        seen.add(key)
        assert rule["question"] in questions
        for field in ("label", "condition", "argues_for", "source", "reason"):
            assert rule[field].strip(), (rule["id"], field)
        if "forbids" in rule and rule["id"] not in ("M1", "COST", "TIME", "ROOM"):
            assert rule["lift"]


def test_the_matrix_has_its_eight_rows_and_the_questions_their_six() -> None:
    assert [r["id"] for r in RULES if r["question"] == "matrix"] == [f"X{n}" for n in range(1, 9)]
    assert {r["question"] for r in RULES} >= {f"Q{n}" for n in range(1, 7)}


@pytest.mark.parametrize(("r", "variant"), [(63, "lora"), (64, "rslora"), (65, "rslora")])
def test_rslora_begins_at_64(r: int, variant: str) -> None:
    assert variant_for(r, LoraSection()) == variant


def test_lora_s_rate_is_ten_times_full_s_from_a_billion_on() -> None:
    for parameters in (1e9, 8e9, 400e9):
        assert learning_rate("lora", int(parameters)) == 10 * learning_rate("full", int(parameters))
        assert learning_rate("qlora", int(parameters)) == learning_rate("lora", int(parameters))
    assert 1e-5 <= learning_rate("full", 7 * 10**9) <= 5e-5
    assert 1e-4 <= learning_rate("lora", 7 * 10**9) <= 3e-4
    assert learning_rate("lora", 2 * 10**6) == 6 * learning_rate("full", 2 * 10**6)


@pytest.mark.parametrize(
    ("r", "variant", "profile", "alpha"),
    [
        (16, "lora", "evidence", 32), (64, "rslora", "evidence", 16), (128, "rslora", "evidence", 23),
        (16, "lora", "guide", 32), (64, "rslora", "guide", 128), (32, "rslora", "guide", 64),
    ],
)  # fmt: skip
def test_alpha_keeps_the_scale(r: int, variant: str, profile: str, alpha: int) -> None:
    assert alpha_for(r, variant, profile) == alpha


def test_the_default_targets_are_the_maximum_tier() -> None:
    rule = next(rule for rule in RULES if rule["id"] == "targets.maximum")
    assert LoraSection().target_modules == rule["sets"]["target_modules"] == "all-linear"


def test_the_profile_guide_says_where_it_parts_from_the_evidence() -> None:
    found = decide(facts_of("llama3.1-8b, l40s; 96 %", rules="guide"))
    assert any("Newer evidence keeps the effective scale at 2" in line for line in found.warnings)
    assert any("effective scale is 16" in line for line in found.warnings)


@pytest.mark.parametrize("value", ["no", "steps", "epoch"])
def test_the_mistake_of_not_saving_cannot_be_made(value: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    head = "name: x\nmodel: {model_name_or_path: m}\ndataset: {path: d.jsonl}\n"
    path.write_text(f"{head}training:\n  save_strategy: {value}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"line 5 .*not saving is a named mistake.*save_steps"):
        load_recipe(path)


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case.name)
def test_fields_that_do_not_matter_change_nothing(case: Expected) -> None:
    facts: Facts = case.facts
    training = {"seed": 7, "logging_steps": 3, "weight_decay": 0.1, "warmup_steps": 0.1}
    training |= {"report_to": "wandb", "max_grad_norm": 0.3, "lr_scheduler_type": "linear"}
    asked = {"metric": "token_accuracy"}
    backwards = dict(reversed(facts.requirements.model_dump().items()))
    other = facts.model_copy(
        update={
            "training": facts.training.model_copy(update=training),
            "requirements": type(facts.requirements).model_validate(backwards | asked),
        }
    )
    assert decide(other) == decide(facts)
