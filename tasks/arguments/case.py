"""Case: the facts together with the rules that speak, the rank, and a plan for each method.

Rules are asked three times: on the bare facts, once full is planned (does it fit, is it affordable),
and once the rank is known and LoRA is planned. The decision itself is in `tasks/decision.py`, its
words are in `reasons.py` and `sentences.py`.
"""

from __future__ import annotations

from typing import Any, Literal

from tasks.arguments.rules import Rule, answers, in_order, speaking
from tasks.contracts import Method, Record
from tasks.estimates.facts import Facts
from tasks.estimates.plan import Plan, make_plan

__all__ = ["Case", "Rank", "build_case", "storage", "within_budget", "within_hours"]


class Rank(Record):
    """The rank of an adapter: what is used, what rules give, who had the last word, what was lost."""

    used: int
    by_rules: int
    decided_by: str
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
        """Whether a method fits the memory, the money, the time and the storage."""
        return self.plan(method).memory.fits and self.affordable(method)

    def affordable(self, method: Method) -> bool:
        """Whether a method stays within every limit of the budget that is known."""
        facts, plan = self.facts, self.plan(method)
        return False not in (
            within_budget(facts, plan),
            within_hours(facts, plan),
            within_storage(facts, plan),
        )


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


def within_storage(facts: Facts, plan: Plan) -> bool | None:
    """Return whether what all tasks leave fits `budget.storage_gb`; None without a limit."""
    if facts.budget.storage_gb is None:
        return None
    return storage(facts, plan)[1] <= facts.budget.storage_gb * 1e9


def storage(facts: Facts, plan: Plan) -> tuple[int, int]:
    """Return the bytes that one task leaves, and all of them with the base that adapters need.

    What is trained is stored in float32, as this stack saves it; the base in the run's precision.
    Example: 10 adapters of 4M numbers on a 7B base in 16 bits: 16 MB each, 14.2 GB together.
    """
    tasks, numbers = facts.requirements.tasks, plan.hyperparameters
    if plan.method == "full":
        return 4 * numbers.parameters, 4 * numbers.parameters * tasks
    one = 4 * numbers.trainable_parameters
    width = 4 if numbers.dtype == "float32" else 2
    return one, tasks * one + width * numbers.parameters


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
    known["full_within_storage"] = within_storage(facts, full)
    spoken = speaking(facts.rules, known, "facts")
    wants = tuple(rule for rule in spoken if rule.wants)
    blocks = tuple(rule for rule in spoken if rule.forbids_full(known))
    known["conflict"] = bool(wants and blocks)
    spoken += speaking(facts.rules, known, "conflict")
    rank = _rank(facts, spoken)
    lora = make_plan(facts, "lora", rank.used)
    known["lora_fits"] = lora.memory.fits
    return Case(
        facts=facts,
        known=known,
        spoken=in_order(facts.rules, spoken + speaking(facts.rules, known, "lora")),
        wants=wants,
        blocks=blocks,
        rank=rank,
        full=full,
        lora=lora,
        qlora=make_plan(facts, "qlora", rank.used),
    )


def _rank(facts: Facts, spoken: tuple[Rule, ...]) -> Rank:
    """Return the rank: complexity's, raised, set, then capped; what the recipe says wins."""
    planned = next(rule for rule in spoken if rule.rank.plan)
    rank, by, notes = planned.rank.plan, planned.label, []
    assert rank is not None
    least = max((rule.rank.at_least or 0 for rule in spoken), default=0)
    if least > rank:
        rank = least
        by = ", ".join(rule.label for rule in spoken if rule.rank.at_least == least)
    firm = any(rule.rank.firm for rule in spoken)
    for label, wanted in [(x.label, x.rank.exactly) for x in spoken if x.rank.exactly]:
        assert wanted is not None
        if firm:
            notes.append(f"{label} argues for r {wanted}, but r {rank} is needed.")
            continue
        if rank > wanted:
            notes.append(f"{label} sets r {wanted}; without it r {rank}.")
        rank, by = wanted, label
    for label, most in [(x.label, x.rank.at_most) for x in spoken if x.rank.at_most]:
        assert most is not None
        if rank > most:
            notes.append(f"{label} caps the rank at {most}; without it r {rank}.")
            rank, by = most, label
    return Rank(
        used=facts.lora.r or rank,
        by_rules=rank,
        decided_by="lora.r in the recipe" if facts.lora.r else by,
        notes=() if facts.lora.r else tuple(notes),
    )
