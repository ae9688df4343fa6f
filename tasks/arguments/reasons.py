"""Reasons: one for each rule that speaks, and what became of it."""

from __future__ import annotations

from tasks.arguments.case import Case
from tasks.arguments.rules import Rule, table
from tasks.arguments.words import NAMES, needs, percent, price
from tasks.contracts import Reason

__all__ = ["reasons"]


def reasons(case: Case, chosen: str) -> tuple[Reason, ...]:
    """Return one reason for each rule that speaks, and one for each question nobody answered."""
    told = [_reason(case, rule, chosen) for rule in case.spoken]
    asked = {rule.question for rule in case.spoken}
    for question in ("Q1", "Q2", "Q3", "Q4", "Q5", "Q6"):
        if question not in asked:
            told.append(_plain(question, question, "not stated", "either"))
    told.append(_rank_reason(case, chosen))
    if chosen == "nothing_fits":
        told.append(_nothing(case))
    elif case.facts.method != "auto":
        told.append(
            _plain("recipe", "policy", f"method: {case.facts.method}", "what it says", True)
        )
    elif chosen in ("lora", "qlora") and not case.blocks:
        told.append(_plain("default", "policy", "no rule wants full", "LoRA", True))
    order = list(table("questions"))
    keys = {table("questions")[key]: key for key in order}
    return tuple(sorted(told, key=lambda r: _place(keys[r.question])))


def _nothing(case: Case) -> Reason:
    """Return rule M0: the least that was asked for exceeds the memory, the money or the time."""
    plan = case.plan("qlora" if case.facts.method == "auto" else case.facts.method)
    if not plan.memory.fits:
        return _plain("M0", "memory", needs(plan.memory), "what would fit", decided=True)
    return _plain("M0", "money", price(plan.cost), "a higher limit", decided=True)


def _place(question: str) -> tuple[int, str]:
    return (0 if question.startswith("Q") else 1, question)


def _plain(rule: str, question: str, answer: str, argues: str, decided: bool = False) -> Reason:
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
        argues_for=f"{rule.argues_for} ({rule.reason})",
        outcome="overruled" if by else "decided" if _decides(case, rule, chosen) else "agreed",
        source=rule.source,
        overruled_by=by,
    )


def _decides(case: Case, rule: Rule, chosen: str) -> bool:
    if chosen in ("prompting", "nothing_fits"):
        return rule.id == "D1" if chosen == "prompting" else rule.question in ("memory", "money")
    if case.facts.method != "auto":
        return False
    if chosen == "full":
        return rule == case.wants[0]
    return rule in case.blocks or (chosen == "qlora" and rule.methods == ("qlora",))


def _overruled_by(case: Case, rule: Rule, chosen: str) -> str | None:
    if chosen == "prompting":
        return None if rule.id == "D1" else "D1 rows < 500"
    if chosen == "nothing_fits":
        return None if rule.question in ("memory", "money") else "M0 nothing fits"
    if not rule.argues(chosen):
        if case.facts.method != "auto":
            return f"method: {case.facts.method} in the recipe"
        if chosen != "full":
            return case.labels or "Q5 edge"
        return rule.yields_to or case.wants[0].label
    lost = rule.rank.at_least or 0
    if chosen != "full" and lost > case.rank.used and rule not in case.blocks:
        return _rank_winner(case)
    return None


def _rank_winner(case: Case) -> str:
    if case.facts.lora.r:
        return "lora.r in the recipe"
    return next(r.label for r in case.spoken if r.rank.at_most or r.rank.exactly)


def _rank_reason(case: Case, chosen: str) -> Reason:
    rank, complexity = case.rank, case.facts.requirements.complexity
    by = None
    if chosen not in ("lora", "qlora"):
        by = f"{NAMES.get(chosen, 'nothing fits')} has no rank"
    elif rank.used != rank.by_complexity:
        raising = [rule.label for rule in case.spoken if rule.rank.at_least == rank.used]
        raising += ["the conflict"] if case.conflict and rank.used == table("raised_rank") else []
        capped = case.facts.lora.r or rank.used < table("raised_rank") or not raising
        by = _rank_winner(case) if capped else ", ".join(raising)
    return Reason(
        rule="rank",
        question=table("questions")["rank"],
        answer=complexity.replace("_", " "),
        argues_for=f"r {rank.by_complexity}",
        outcome="overruled" if by else "decided",
        source="guide, rank by complexity",
        overruled_by=by,
    )


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
        case "data":
            return f"{facts.rows:,} rows"
        case "memory":
            memory = case.full.memory if rule.forbids else case.lora.memory
            return needs(memory)
        case "money":
            return price(case.full.cost)
    return rule.condition
