"""The guide once more, as plain ifs: which rules have to speak, and what each argues for.

Written from the guide and methods.md by hand, not from `tasks/assets/rules.yaml`, so that a rule
that is removed, inverted or shifted in the file disagrees with what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from tasks.arguments.case import Case, build_case, within_budget, within_hours, within_storage
from tasks.contracts import Recommendation
from tasks.decision import Facts
from tasks.estimates.profiles import devices_of

__all__ = ["ARGUES_FOR", "WARNS", "rules_that_speak"]

FULL, EITHER = {"full"}, {"full", "lora", "qlora"}
ADAPTERS, QLORA = {"lora", "qlora"}, {"qlora"}

#: Rule -> the methods it argues for.
ARGUES_FOR = {
    "D2": ADAPTERS, "M1": ADAPTERS, "M2": QLORA, "COST": ADAPTERS, "ROOM": ADAPTERS,
    "TIME": ADAPTERS, "Q1.low": ADAPTERS, "Q1.middle": ADAPTERS, "Q1.high": EITHER,
    "Q2.consumer": ADAPTERS, "Q2.single": ADAPTERS, "Q2.small": EITHER, "Q2.cluster": EITHER,
    "Q2.cpu": EITHER, "Q2.unknown": EITHER, "Q3.one": EITHER, "Q3.few": ADAPTERS,
    "Q3.many": ADAPTERS, "Q4.above": FULL, "Q4.middle": ADAPTERS, "Q4.below": ADAPTERS,
    "critical": FULL, "Q5.edge": QLORA, "Q5.updates": ADAPTERS, "Q5.ab": ADAPTERS,
    "Q5.cloud": EITHER, "Q6.none": EITHER, "Q6.sequential": EITHER, "R1": FULL,
    "R2.tasks": ADAPTERS, "R2.budget": ADAPTERS, "R2.memory": ADAPTERS, "R2.fast": ADAPTERS,
    "X1": ADAPTERS, "X2": FULL, "X3": ADAPTERS, "X4": QLORA, "X5": FULL, "X6": ADAPTERS,
    "X7": ADAPTERS, "X8": QLORA,
}  # fmt: skip
#: Rule -> a word of its warning.
WARNS = {
    "lint.rank": "try 16", "lint.rate": "named mistake", "lint.rate_full_low": "far from",
    "lint.rate_high": "far from", "lint.bits": "method: qlora would fit",
    "lint.rows_full": "wants 10,000", "lint.rows_lora": "wants 1,000",
    "lint.rows_simple": "even for a simple task", "lint.rows_qlora": "QLoRA wants 500",
    "lint.save_steps": "beyond the last step", "lint.scale": "effective scale",
    "lint.forgetting": "add replay", "lint.capacity": "capacity may bind", "targets.better": "attention only",
    "targets.minimum": "q and v only",
}  # fmt: skip
RANKS = ("simple", "medium", "complex", "very_complex", "near_full")


@dataclass(frozen=True)
class _Told:
    """Collects the names of rules whose condition holds."""

    names: set[str]

    def when(self, condition: object, name: str) -> None:
        if condition:
            self.names.add(name)


def rules_that_speak(facts: Facts, found: Recommendation) -> set[str]:
    """Return the rules that have to speak for these facts and this outcome."""
    told, case = _Told(set()), build_case(facts)
    _computed(told, facts, case)
    _questions(told, facts)
    _general(told, facts, case)
    _matrix(told, facts, case)
    if found.method in ("full", "lora", "qlora"):
        _settings(told, facts, found)
        told.when(devices_of(facts) > 1, "processes")
    if found.method == "nothing_fits" and facts.method in ("full", "lora"):
        fits = case.plan(facts.method).memory.fits
        told.when(not fits and case.qlora.memory.fits, "lint.bits")
    return told.names


def _computed(told: _Told, facts: Facts, case: Case) -> None:
    told.when(facts.rows < 500 and not facts.insists, "D1")
    told.when(facts.rows < 10_000, "D2")
    told.when(not case.full.memory.fits, "M1")
    told.when(not case.lora.memory.fits, "M2")
    told.when(within_budget(facts, case.full) is False, "COST")
    told.when(within_hours(facts, case.full) is False, "TIME")
    told.when(within_storage(facts, case.full) is False, "ROOM")
    wanted = _full_is_wanted(facts)
    told.when(wanted and case.blocks, "rank.conflict")


def _full_is_wanted(facts: Facts) -> bool:
    asked, budget = facts.requirements, facts.budget.max_usd or 0
    accuracy = asked.accuracy or 0
    alone = asked.tasks == 1 or asked.domain_shift == "very_different"
    forgetting = asked.continual == "forgetting" and facts.rules == "guide"
    r1 = accuracy > 0.97 and budget > 10_000 and alone
    return accuracy > 0.98 or asked.critical or r1 or forgetting


def _questions(told: _Told, facts: Facts) -> None:
    asked, hardware, budget = facts.requirements, facts.hardware, facts.budget.max_usd
    if budget is not None:
        band = "low" if budget < 1000 else "high" if budget > 10_000 else "middle"
        told.when(condition=True, name=f"Q1.{band}")
    seven = facts.architecture.parameters >= 7e9
    single, cluster = hardware.kind == "single", hardware.count >= 8
    told.when(hardware.kind == "consumer", "Q2.consumer")
    told.when(single and not cluster and seven, "Q2.single")
    told.when(single and not cluster and not seven, "Q2.small")
    told.when(single and cluster, "Q2.cluster")
    told.when(hardware.kind == "cpu", "Q2.cpu")
    told.when(hardware.kind == "unknown", "Q2.unknown")
    many = "one" if asked.tasks == 1 else "few" if asked.tasks <= 5 else "many"
    told.when(condition=True, name=f"Q3.{many}")
    if asked.accuracy is not None:
        band = "above" if asked.accuracy > 0.98 else "below" if asked.accuracy < 0.95 else "middle"
        told.when(condition=True, name=f"Q4.{band}")
    told.when(asked.critical, "critical")
    told.when(asked.deployment == "edge", "Q5.edge")
    told.when(asked.rapid == "updates", "Q5.updates")
    told.when(asked.rapid == "ab_testing", "Q5.ab")
    told.when(asked.deployment == "cloud" and asked.rapid == "no", "Q5.cloud")
    told.when(condition=True, name=f"Q6.{asked.continual}")
    told.when(condition=True, name=f"rank.{asked.complexity}")


def _general(told: _Told, facts: Facts, case: Case) -> None:
    asked, budget = facts.requirements, facts.budget.max_usd
    accuracy = asked.accuracy or 0
    alone = asked.tasks == 1 or asked.domain_shift == "very_different"
    told.when(accuracy > 0.97 and (budget or 0) > 10_000 and alone, "R1")
    told.when(asked.tasks > 3, "R2.tasks")
    told.when(budget is not None and budget < 5000, "R2.budget")
    told.when(facts.hardware.kind != "cpu" and facts.hardware.usable_gib < 79, "R2.memory")
    told.when(asked.rapid != "no", "R2.fast")


def _matrix(told: _Told, facts: Facts, case: Case) -> None:
    asked, hardware = facts.requirements, facts.hardware
    limited = hardware.kind != "cpu" and hardware.usable_gib < 79 and hardware.count < 8
    told.when(limited and asked.tasks >= 3, "X1")
    told.when(asked.critical and asked.tasks == 1, "X2")
    told.when(asked.rapid == "updates", "X3")
    told.when(facts.architecture.parameters > 100e9 and not case.lora.memory.fits, "X4")
    told.when(asked.critical and (asked.accuracy or 0) > 0.98, "X5")
    told.when(asked.tasks > 5, "X6")
    told.when(asked.rapid == "ab_testing", "X7")
    told.when(asked.deployment == "edge", "X8")


def _settings(told: _Told, facts: Facts, found: Recommendation) -> None:
    chosen, asked = found.hyperparameters, facts.requirements
    assert chosen is not None
    full, parameters = found.method == "full", facts.architecture.parameters
    told.when(condition=True, name="rate.full" if full else "rate.lora")
    if parameters >= 1e9:
        usual = 2e-5 if full else 2e-4
        fifth = round(usual / 5, 12)
        told.when(full and chosen.learning_rate < fifth, "lint.rate_full_low")
        told.when(not full and chosen.learning_rate < fifth, "lint.rate")
        told.when(chosen.learning_rate > usual * 5, "lint.rate_high")
    every = facts.training.save_steps
    told.when(every is not None and chosen.steps < every, "lint.save_steps")
    told.when(full and facts.rows < 10_000, "lint.rows_full")
    simple = asked.complexity == "simple"
    told.when(found.method == "lora" and not simple and facts.rows < 1000, "lint.rows_lora")
    told.when(found.method == "lora" and simple and facts.rows < 500, "lint.rows_simple")
    told.when(found.method == "qlora" and facts.rows < 500, "lint.rows_qlora")
    held = facts.replay_rows > 0 or (full and (facts.ewc or facts.freeze is not None))
    told.when(asked.continual != "none" and not held, "lint.forgetting")
    if full:
        return
    assert chosen.r is not None
    assert chosen.lora_alpha is not None
    told.when(condition=True, name="alpha.rslora" if chosen.variant == "rslora" else "alpha.lora")
    told.when(chosen.r >= 64, "rslora")
    tiers = {("q_proj", "v_proj"): "minimum", ("q_proj", "k_proj", "v_proj", "o_proj"): "better"}
    targets = chosen.target_modules
    tier = tiers.get(targets, "maximum") if isinstance(targets, tuple) else "maximum"
    told.when(condition=True, name=f"targets.{tier}")
    told.when(chosen.r < 8 and asked.complexity in RANKS[2:], "lint.rank")
    scale = chosen.lora_alpha / (sqrt(chosen.r) if chosen.variant == "rslora" else chosen.r)
    told.when(scale < 0.5 or scale > 4, "lint.scale")
    learned = facts.loss_tokens
    told.when(learned is not None and learned > chosen.trainable_parameters, "lint.capacity")
