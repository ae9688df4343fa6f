"""Decision: facts in, a recommendation with every reason out. Pure: no Prefect, torch or network.

Precedence (methods.md 2.1): data, memory, money, hard requirements, accuracy or criticality, and
last the default, LoRA. Full fine-tuning is chosen if a rule wants it and none forbids it; wanted
but forbidden is a conflict and is said. QLoRA is taken where LoRA does not fit, and on the edge.
A method that the recipe fixes wins over every rule but feasibility.

    from tasks.decision import Facts, decide
    decide(Facts(architecture=..., hardware=..., rows=10_000, ...)).method
"""

from __future__ import annotations

from typing import Literal

from tasks.arguments import sentences
from tasks.arguments.about_the_plan import about_the_plan
from tasks.arguments.advice import advice, fixes_something, left_open
from tasks.arguments.case import Case, build_case
from tasks.arguments.comparison import METHODS, comparison
from tasks.arguments.reasons import reasons
from tasks.arguments.rules import rules_version
from tasks.arguments.sharing import refuse_profile
from tasks.contracts import Advice, Alternative, Method, Recommendation
from tasks.estimates.facts import Facts

__all__ = ["Facts", "Outcome", "decide"]

Outcome = Method | Literal["prompting", "nothing_fits"]


def decide(facts: Facts) -> Recommendation:
    """Return the method and its settings, with every reason and what would change the answer.

    Raises:
        RecipeError: Batch sizes that conflict, target modules the model does not have, or a way to
            share the work that the method rules out.
    """
    case = build_case(facts)
    chosen = _choose(case)
    refuse_profile(case, chosen)
    runner_up = _runner_up(case, chosen)
    others = tuple(m for m in METHODS if m != chosen)
    alternatives = tuple(_alternative(case, method, chosen) for method in others)
    plan = None if chosen in ("prompting", "nothing_fits") else case.plan(chosen)
    shown = plan or (case.plan(_asked(case)) if chosen == "nothing_fits" else None)
    about, known = about_the_plan(case, chosen)
    lifts = sentences.lifts_of(case, chosen)
    return Recommendation(
        method=chosen,
        adapters=facts.requirements.tasks if chosen in ("lora", "qlora") else 0,
        hyperparameters=plan.hyperparameters if plan else None,
        memory=shown.memory if shown else None,
        cost=shown.cost if shown else None,
        reasons=reasons(case, chosen, about),
        runner_up=next((a for a in alternatives if a.method == runner_up), None),
        alternatives=alternatives,
        conflict=sentences.conflict(case, chosen, lifts),
        warnings=sentences.warnings(case, chosen, about, known),
        would_change=sentences.would_change(case, chosen, lifts),
        device=facts.hardware.device_class,
        rules=rules_version(facts.rules),
        asked_for=facts.method,
        blocked=tuple(rule.id for rule in case.blocks),
        comparison=() if chosen == "prompting" else comparison(case, chosen, runner_up),
        advice=_advice(case, chosen),
    )


def _advice(case: Case, chosen: Outcome) -> tuple[Advice, ...]:
    if chosen in ("prompting", "nothing_fits") or not fixes_something(case.facts):
        return ()
    return advice(case, build_case(left_open(case.facts)), chosen)


def _choose(case: Case) -> Outcome:
    if any(rule.id == "D1" for rule in case.spoken):
        return "prompting"
    if case.facts.method != "auto":
        return case.facts.method if case.possible(case.facts.method) else "nothing_fits"
    return case.choice_of_rules()


def _asked(case: Case) -> Method:
    """Return the method whose figures a `nothing_fits` shows: the one asked for, else the least."""
    return "qlora" if case.facts.method == "auto" else case.facts.method


def _runner_up(case: Case, chosen: Outcome) -> Method | None:
    """Return the next best method that is possible and that no rule forbids."""
    order: dict[str, tuple[Method, ...]] = {
        "full": ("lora", "qlora"),
        "lora": ("full", "qlora") if not case.blocks else ("qlora",),
        "qlora": ("lora",),
    }
    return next((m for m in order.get(chosen, ()) if case.possible(m)), None)


def _alternative(case: Case, method: Method, chosen: Outcome) -> Alternative:
    plan = case.plan(method)
    return Alternative(
        method=method,
        r=plan.hyperparameters.r,
        why_not=sentences.why_not(case, method, chosen),
        memory=plan.memory,
        cost=plan.cost,
    )
