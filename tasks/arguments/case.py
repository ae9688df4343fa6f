"""Case: the facts together with the rules that speak, the rank, and a plan for each method.

What is here is computed for a decision; the decision itself is in `tasks/decision.py`, its words
are in `reasons.py` and
`sentences.py`.
"""

from __future__ import annotations

from typing import Any, Literal

from tasks.arguments.rules import Rule, answers, speaking, table
from tasks.contracts import Method, Record
from tasks.estimates.facts import Facts
from tasks.estimates.plan import Plan, make_plan

__all__ = ["Case", "Rank", "build_case", "within_budget", "within_hours"]


class Rank(Record):
    """The rank of an adapter: what is used, what complexity alone gives, and what was lost."""

    used: int
    by_rules: int
    by_complexity: int
    notes: tuple[str, ...]


class Case(Record):
    """Everything a decision looks at. `wants` and `blocks` are the rules for and against full."""

    facts: Facts
    known: dict[str, Any]
    spoken: tuple[Rule, ...]
    wants: tuple[Rule, ...]
    blocks: tuple[Rule, ...]
    rank: Rank
    full: Plan
    lora: Plan
    qlora: Plan

    @property
    def conflict(self) -> bool:
        """Full is wanted and forbidden."""
        return bool(self.wants and self.blocks)

    @property
    def labels(self) -> str:
        """The rules that forbid full, in a line."""
        return ", ".join(rule.label for rule in self.blocks)

    def plan(self, method: Method) -> Plan:
        """Return the plan of a method."""
        return {"full": self.full, "lora": self.lora, "qlora": self.qlora}[method]

    def choice_of_rules(self) -> Method | Literal["nothing_fits"]:
        """Return what the rules choose when the recipe leaves the method open."""
        if self.wants and not self.blocks:
            return "full"
        edge = any(rule.methods == ("qlora",) and rule.forbids for rule in self.spoken)
        order: tuple[Method, ...] = ("qlora",) if edge else ("lora", "qlora")
        return next((m for m in order if self.possible(m)), "nothing_fits")

    def possible(self, method: Method) -> bool:
        """Whether a method fits the memory, the money and the time."""
        plan = self.plan(method)
        limits = (within_budget(self.facts, plan), within_hours(self.facts, plan))
        return plan.memory.fits and False not in limits


def within_budget(facts: Facts, plan: Plan) -> bool | None:
    """Return whether a plan costs at most `budget.max_usd`; None without a budget or a price."""
    if facts.budget.max_usd is None or plan.cost.high_usd is None:
        return None
    return plan.cost.high_usd <= facts.budget.max_usd


def within_hours(facts: Facts, plan: Plan) -> bool | None:
    """Return whether a plan takes at most `budget.max_hours`; None without a limit."""
    if facts.budget.max_hours is None:
        return None
    return plan.cost.high_seconds <= facts.budget.max_hours * 3600


def build_case(facts: Facts) -> Case:
    """Compute plans and rank, and ask every rule.

    Raises:
        RecipeError: Batch sizes that conflict, or target modules the model does not have.
    """
    known = answers(facts)
    full = make_plan(facts, "full", 1)
    known["full_fits"] = full.memory.fits
    known["full_within_budget"] = within_budget(facts, full)
    known["full_within_hours"] = within_hours(facts, full)
    spoken = speaking(facts.rules, known)
    wants = tuple(rule for rule in spoken if rule.wants)
    blocks = tuple(rule for rule in spoken if rule.forbids_full(known))
    rank = _rank(facts, spoken, conflict=bool(wants and blocks))
    lora = make_plan(facts, "lora", rank.used)
    known["lora_fits"] = lora.memory.fits
    return Case(
        facts=facts,
        known=known,
        spoken=speaking(facts.rules, known),
        wants=wants,
        blocks=blocks,
        rank=rank,
        full=full,
        lora=lora,
        qlora=make_plan(facts, "qlora", rank.used),
    )


def _rank(facts: Facts, spoken: tuple[Rule, ...], *, conflict: bool) -> Rank:
    """Return the rank: complexity, raised by accuracy, continual and conflict; A/B; edge; recipe."""
    by_complexity: int = table("ranks")[facts.requirements.complexity]
    notes = []
    rank = max([by_complexity, *(rule.rank.at_least or 0 for rule in spoken)])
    if conflict:
        rank = max(rank, table("raised_rank"))
    accurate = any(rule.rank.at_least for rule in spoken if rule.question == "Q4")
    for label, wanted in [(x.label, x.rank.exactly) for x in spoken if x.rank.exactly]:
        assert wanted is not None
        if accurate or conflict:
            notes.append(f"{label} argues for r {wanted}, but r {rank} is needed.")
            continue
        if rank > wanted:
            notes.append(f"{label} sets r {wanted}; without it r {rank}.")
        rank = wanted
    for label, most in [(x.label, x.rank.at_most) for x in spoken if x.rank.at_most]:
        assert most is not None
        if rank > most:
            notes.append(f"{label} caps the rank at {most}; without it r {rank}.")
            rank = most
    return Rank(
        used=facts.lora.r or rank,
        by_rules=rank,
        by_complexity=by_complexity,
        notes=() if facts.lora.r else tuple(notes),
    )
