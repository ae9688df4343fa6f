"""Rules: the guide's rules as data, and which of them speak for given facts.

The data and its small language are in `tasks/assets/rules.yaml`; what follows from the rules that
speak is decided in `tasks/decision.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, Literal

from tasks.contracts import Record
from tasks.estimates.architecture import read_asset
from tasks.estimates.facts import Facts

__all__ = [
    *("RankEffect", "Rule", "answers", "in_order", "rules_version", "speaking", "table"),
]

ADAPTERS = ("lora", "qlora")
COMPARE = {
    "below": operator.lt,
    "at_most": operator.le,
    "above": operator.gt,
    "at_least": operator.ge,
}

#: A condition of the rules file, ready to be asked.
Condition = Callable[[dict[str, Any]], bool]

#: When a rule can speak: on the facts and the plan of full, once it is known whether full is wanted
#: and forbidden, once LoRA is planned, or about the plan that was chosen.
Stage = Literal["facts", "conflict", "lora", "plan"]


class RankEffect(Record):
    """What a rule does to the rank; `range` only says which ranks it holds for right."""

    plan: int | None = None
    at_least: int | None = None
    exactly: int | None = None
    at_most: int | None = None
    firm: bool = False
    range: tuple[int, int] | None = None


class Rule(Record):
    """One rule; see the head of `rules.yaml` for the meaning of each field."""

    id: str
    question: str
    when: dict[str, Any]
    methods: tuple[str, ...]
    label: str
    condition: str
    argues_for: str
    source: str
    reason: str
    wants: Literal["full"] | None = None
    forbids: Literal["full"] | None = None
    unless: dict[str, Any] | None = None
    yields_to: str | None = None
    rank: RankEffect = RankEffect()
    lift: str | None = None
    sets: dict[str, Any] | None = None
    warns: str | None = None
    refuses: str | None = None
    differs: str | None = None
    profile: Literal["evidence", "guide"] | None = None

    @cached_property
    def speaks(self) -> Condition:
        """Whether `when` holds for what is known."""
        return _compiled(self.when)

    @cached_property
    def excused(self) -> Condition:
        """Whether `unless` holds for what is known."""
        return _compiled(self.unless) if self.unless else lambda _: False

    @cached_property
    def stage(self) -> Stage:
        """When the rule can speak, which follows from the facts it names."""
        if self.question in ("settings", "lint"):
            return "plan"
        if "conflict" in self.when:
            return "conflict"
        return "lora" if "lora_fits" in self.when else "facts"

    def argues(self, method: str) -> bool:
        """Whether the rule argues for a method."""
        return method in self.methods or ("adapters" in self.methods and method in ADAPTERS)

    def forbids_full(self, known: dict[str, Any]) -> bool:
        """Whether the rule really forbids full: it does, and its exception does not hold."""
        return self.forbids == "full" and not self.excused(known)


def table(name: str) -> Any:  # noqa: ANN401 - plain data
    """Return one of the plain tables of the rules file."""
    return read_asset("rules.yaml")[name]


def rules_version(profile: str) -> str:
    """Return the profile and the version of the rules, for the record."""
    return f"{profile}, version {table('version')}"


@cache
def _rules(profile: str) -> tuple[Rule, ...]:
    every = (Rule.model_validate(entry) for entry in table("rules") if "refuses" not in entry)
    return tuple(rule for rule in every if rule.profile in (None, profile))


def answers(facts: Facts) -> dict[str, Any]:
    """Return what the user and the machine answer, in the words of the rules file."""
    asked, hardware = facts.requirements, facts.hardware
    known: dict[str, Any] = {
        **asked.model_dump(include={"tasks", "deployment", "continual", "critical"}),
        **asked.model_dump(include={"domain_shift", "rapid", "complexity"}),
        "accuracy": asked.accuracy,
        "budget_usd": facts.budget.max_usd,
        "rows": facts.usable_rows,
        "insists": facts.insists,
        "parameters": facts.architecture.parameters,
        "gpu_kind": hardware.kind,
        "gpu_count": hardware.count,
        "gpu_gib": None if hardware.kind == "cpu" else hardware.usable_gib,
        "asked_for": facts.method,
    }
    return known


@cache
def _stage(profile: str, stage: Stage) -> tuple[Rule, ...]:
    return tuple(rule for rule in _rules(profile) if rule.stage == stage)


@cache
def _places(profile: str) -> dict[int, int]:
    return {id(rule): place for place, rule in enumerate(_rules(profile))}


def speaking(profile: str, known: dict[str, Any], stage: Stage) -> tuple[Rule, ...]:
    """Return the rules of a profile and a stage whose conditions hold, in their order."""
    return tuple(rule for rule in _stage(profile, stage) if rule.speaks(known))


def in_order(profile: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return rules of several stages in the order of the file."""
    places = _places(profile)
    return tuple(sorted(rules, key=lambda rule: places[id(rule)]))


def _compiled(condition: dict[str, Any]) -> Condition:
    """Return a condition as a function of what is known: whether all its parts hold.

    Example: {"tasks": {"above": 3}} holds for {"tasks": 4}; a fact that is None fits nothing.
    """
    parts = tuple(
        (_any(wanted) if name == "any" else _fits(name, wanted))
        for name, wanted in condition.items()
    )

    return parts[0] if len(parts) == 1 else lambda known: all(part(known) for part in parts)


def _any(conditions: list[dict[str, Any]]) -> Condition:
    parts = tuple(_compiled(condition) for condition in conditions)
    return lambda known: any(part(known) for part in parts)


def _fits(name: str, wanted: Any) -> Condition:  # noqa: ANN401 - numbers, texts and booleans
    if isinstance(wanted, list):
        return lambda known: (value := known.get(name)) is not None and value in wanted
    if not isinstance(wanted, dict):
        return lambda known: (value := known.get(name)) is not None and value == wanted
    limits = tuple((COMPARE[word], limit) for word, limit in wanted.items())

    def within(known: dict[str, Any]) -> bool:
        value = known.get(name)
        return value is not None and all(compare(value, limit) for compare, limit in limits)

    return within
