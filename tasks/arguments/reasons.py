"""Reasons: one for each rule that speaks, and what became of it."""

from __future__ import annotations

from tasks.arguments.case import Case
from tasks.arguments.rules import Rule, table
from tasks.arguments.sharing import sharing
from tasks.arguments.words import needs, percent, price
from tasks.contracts import Reason

__all__ = ["reasons"]

ADAPTERS = ("lora", "qlora")
#: Questions whose rules are about the chosen plan and appear only with one.
ABOUT_THE_PLAN = ("settings", "lint")


def reasons(case: Case, chosen: str, about_the_plan: tuple[Rule, ...] = ()) -> tuple[Reason, ...]:
    """Return one reason for each rule that speaks, and one for each question nobody answered."""
    told = [_reason(case, rule, chosen) for rule in (*case.spoken, *about_the_plan)]
    told += sharing(case, chosen)
    asked = {rule.question for rule in case.spoken}
    for question in ("Q1", "Q2", "Q3", "Q4", "Q5", "Q6"):
        if question not in asked:
            told.append(_plain(question, question, "not stated", "either"))
    if chosen == "nothing_fits":
        told.append(_nothing(case))
    elif case.facts.method != "auto":
        told.append(
            _plain("recipe", "policy", f"method: {case.facts.method}", "what it says", decided=True)
        )
    elif chosen in ADAPTERS and not case.blocks:
        told.append(_plain("default", "policy", "no rule wants full", "LoRA", decided=True))
    order = {text: place for place, text in enumerate(table("questions").values())}
    return tuple(sorted(told, key=lambda reason: order[reason.question]))


def _nothing(case: Case) -> Reason:
    """Return rule M0: the least that was asked for exceeds the memory, the money or the time."""
    plan = case.plan("qlora" if case.facts.method == "auto" else case.facts.method)
    if not plan.memory.fits:
        return _plain("M0", "memory", needs(plan.memory), "what would fit", decided=True)
    return _plain("M0", "money", price(plan.cost), "a higher limit", decided=True)


def _plain(rule: str, question: str, answer: str, argues: str, *, decided: bool = False) -> Reason:
    return Reason(
        rule=rule,
        question=table("questions")[question],
        answer=answer,
        argues_for=argues,
        outcome="decided" if decided else "agreed",
        source="this project" if decided else "guide",
    )


def _reason(case: Case, rule: Rule, chosen: str) -> Reason:
    by = _overruled_by(case, rule, chosen)
    return Reason(
        rule=rule.id,
        question=table("questions")[rule.question],
        answer=_answer(case, rule),
        argues_for=rule.argues_for,
        outcome="overruled" if by else "decided" if _decides(case, rule, chosen) else "agreed",
        source=rule.source,
        why=rule.reason,
        overruled_by=by,
    )


def _decides(case: Case, rule: Rule, chosen: str) -> bool:
    if chosen in ("prompting", "nothing_fits"):
        return rule.id == "D1" if chosen == "prompting" else rule.question in ("memory", "money")
    if rule.question == "rank":
        return chosen in ADAPTERS and rule.label in case.rank.decided_by.split(", ")
    if case.facts.method != "auto":
        return False
    if chosen == "full":
        return rule is case.wants[0]
    return _blocks(case, rule) or (
        chosen == "qlora" and rule.methods == ("qlora",) and rule.question != "matrix"
    )


def _blocks(case: Case, rule: Rule) -> bool:
    return any(rule is other for other in case.blocks)


def _overruled_by(case: Case, rule: Rule, chosen: str) -> str | None:
    if chosen == "prompting":
        return None if rule.id == "D1" else "D1 rows < 500"
    if chosen == "nothing_fits":
        return None if rule.question in ("memory", "money", "lint") else "M0 nothing fits"
    if rule.question in ABOUT_THE_PLAN:
        return _own_settings(case, rule, chosen)
    if not rule.argues(chosen):
        if case.facts.method != "auto":
            return f"method: {case.facts.method} in the recipe"
        if chosen != "full":
            return case.labels or "Q5 edge"
        return rule.yields_to or case.wants[0].label
    if chosen == "full":
        return "full fine-tuning has no rank" if rule.question == "rank" else None
    return _lost_rank(case, rule)


def _lost_rank(case: Case, rule: Rule) -> str | None:
    """Return who set another rank than this rule argues for, if somebody did."""
    used, effect = case.rank.used, rule.rank
    if _blocks(case, rule) and not effect.exactly:
        return None
    low, high = effect.range or (0, used)
    outside = effect.plan not in (None, used) if effect.plan else not low <= used <= high
    if outside or (effect.at_least or 0) > used:
        return case.rank.decided_by
    return None


def _own_settings(case: Case, rule: Rule, chosen: str) -> str | None:
    """Return the recipe's setting that departs from a settings rule, if one does."""
    facts = case.facts
    if rule.id.startswith("rate.") and facts.training.learning_rate is not None:
        return "training.learning_rate in the recipe"
    if rule.id.startswith("alpha.") and facts.lora.lora_alpha is not None:
        return "lora.lora_alpha in the recipe"
    if rule.id == "rslora" and facts.lora.variant == "lora":
        return "lora.variant in the recipe"
    return None if rule.argues(chosen) or rule.question == "lint" else case.labels


def _answer(case: Case, rule: Rule) -> str:
    asked, facts = case.facts.requirements, case.facts
    match rule.question:
        case "Q1":
            return f"${facts.budget.max_usd:,.0f}"
        case "Q2":
            return facts.hardware.title
        case "Q3":
            return "1 task" if asked.tasks == 1 else f"{asked.tasks} tasks"
        case "Q4":
            return "critical" if rule.id == "critical" else percent(asked.accuracy)
        case "Q5":
            pace = asked.rapid.replace("_", " ")
            return asked.deployment if asked.rapid == "no" else f"{asked.deployment}, {pace}"
        case "Q6":
            return asked.continual
        case "rank":
            return asked.complexity.replace("_", " ") if rule.rank.plan else rule.condition
        case "data":
            return f"{facts.usable_rows:,} rows"
        case "memory":
            memory = case.full.memory if rule.forbids else case.lora.memory
            return needs(memory)
        case "money":
            return price(case.full.cost)
    return rule.condition
