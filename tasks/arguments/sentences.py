"""Sentences: what was compromised, why not another method, warnings, and what would change it."""

from __future__ import annotations

from functools import cache
from typing import Any

from tasks.arguments.about_the_plan import warned
from tasks.arguments.case import Case, storage
from tasks.arguments.rules import Rule
from tasks.arguments.sharing import unshared
from tasks.arguments.words import NAMES, dollars, gib, needs, percent, price
from tasks.contracts import MemoryEstimate, Method
from tasks.estimates.facts import Facts
from tasks.estimates.hardware import Hardware, card, cards
from tasks.estimates.plan import least_memory, make_plan, plan_memory, pure_half_memory
from tasks.estimates.widths import OPTIMIZERS

__all__ = ["conflict", "lifts_of", "warnings", "why_not", "would_change"]

COUNTS = (1, 2, 4, 8)


def conflict(case: Case, chosen: str, lifts: tuple[str, ...]) -> str | None:
    """Return the compromise in a sentence, or why nothing fits; None if there is neither."""
    if chosen == "nothing_fits":
        return _nothing_fits(case)
    if not case.conflict or chosen not in ("lora", "qlora") or case.facts.method != "auto":
        return None
    wanting = ", ".join(rule.label for rule in case.wants)
    told = "; ".join(lifts)
    accuracy = case.facts.requirements.accuracy
    gate = f" The evaluation gate stays at {percent(accuracy)}." if accuracy else ""
    return (
        f"Full fine-tuning is wanted ({wanting}) but forbidden ({case.labels}): the plan is "
        f"{NAMES[chosen]} r {case.rank.used}. Lifting that takes: {told}.{gate}"
    )


def _nothing_fits(case: Case) -> str:
    facts = case.facts
    method: Method = "qlora" if facts.method == "auto" else facts.method
    plan, hardware = case.plan(method), facts.hardware
    rank = "" if method == "full" else f" r {case.rank.used}"
    subject = f"{facts.architecture.name} with {NAMES[method]}{rank}"
    if plan.memory.fits:
        return (
            f"{subject} costs {price(plan.cost)} on {hardware.title} and leaves "
            f"{storage(facts, plan)[1] / 1e9:.3g} GB; that is above {_limits(facts)}. Raise the "
            "limit, train on fewer rows, or choose a cheaper card."
        )
    near = _nearest(case)
    return (
        f"{subject} needs {gib(plan.memory.high_bytes)} ({_parts(plan.memory)}) but "
        f"{hardware.title} has {gib(hardware.usable_bytes)} usable{_each(hardware)}."
        f"{unshared(case, method)} "
        + (f"Nearest that fits: {near}. " if near else "No method fits at any length. ")
        + f"It would fit, cheapest by the hour, on {_smallest(case, method)}."
    )


def _limits(facts: Facts) -> str:
    budget = facts.budget
    money = f"budget.max_usd ({dollars(budget.max_usd)})" if budget.max_usd else ""
    hours = f"budget.max_hours ({budget.max_hours:g})" if budget.max_hours else ""
    room = f"budget.storage_gb ({budget.storage_gb:g})" if budget.storage_gb else ""
    return " or ".join(part for part in (money, hours, room) if part)


def _parts(memory: MemoryEstimate) -> str:
    parts = {
        "weights": memory.weights_bytes + memory.adapter_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes + memory.logits_bytes,
        "context": memory.overhead_bytes,
    }
    return ", ".join(f"{name} {gib(size)}" for name, size in parts.items() if size > 0)


def _each(hardware: Hardware) -> str:
    return " on each" if hardware.count > 1 else ""


def _nearest(case: Case) -> str | None:
    """Return the method, rank and length closest to what was asked that fits this hardware."""
    facts = case.facts
    small = facts.training.model_copy(update={"gradient_checkpointing": True})
    length, rank = facts.length, case.rank.used
    while length >= min(128, facts.length):
        for method, r in (("lora", rank), ("qlora", rank), ("qlora", min(rank, 8))):
            shorter = facts.model_copy(update={"length": length, "training": small})
            memory = plan_memory(shorter, method, r)
            if memory.fits:
                return (
                    f"method: {method}, lora.r: {r}, dataset.max_length: {length} "
                    f"({gib(memory.high_bytes)})"
                )
        length //= 2
    return None


@cache
def _offers(catalogue: tuple[str, ...]) -> tuple[Hardware, ...]:
    """Return 1 to 8 of each card that has a price, cheapest by the hour first."""
    offers = [card(name, count) for name in catalogue for count in COUNTS]
    priced = [(x.usd_per_hour[1] * x.count, x) for x in offers if x.usd_per_hour]
    return tuple(offer for _, offer in sorted(priced, key=lambda pair: pair[0]))


def _smallest(case: Case, method: Method) -> str:
    """Return the cards of the catalogue, cheapest by the hour, that a method fits, and its cost."""
    needed: dict[int, int] = {}
    for hardware in _offers(tuple(cards())):
        count = hardware.count
        if count not in needed:
            needed[count] = least_memory(case.facts, method, case.rank.used, count).high_bytes
        if needed[count] <= hardware.usable_bytes:
            facts = case.facts.model_copy(update={"hardware": hardware})
            return f"{hardware.title} ({price(make_plan(facts, method, case.rank.used).cost)})"
    return "no 1 to 8 cards of the catalogue"


def lifts_of(case: Case, chosen: str) -> tuple[str, ...]:
    """Return what would have to change for each rule that forbids full to fall silent."""
    if chosen not in ("lora", "qlora") or case.facts.method != "auto":
        return ()
    return tuple(_lift(case, rule.id) for rule in case.blocks)


def _lift(case: Case, rule_id: str) -> str:
    """Return what would have to change for a rule to fall silent."""
    if rule_id == "M1":
        memory = case.full.memory
        return f"memory for full ({needs(memory)}), cheapest on {_smallest(case, 'full')}"
    if rule_id in ("COST", "TIME", "ROOM"):
        room = storage(case.facts, case.full)[1] / 1e9
        takes = f"costs {price(case.full.cost)} and leaves {room:.3g} GB"
        return f"a higher limit than {_limits(case.facts)}; full {takes}"
    rule = next(rule for rule in case.spoken if rule.id == rule_id)
    return rule.lift or rule.condition


def why_not(case: Case, method: Method, chosen: str) -> str:
    """Return why a method was not chosen, with its figures."""
    plan = case.plan(method)
    cost = price(plan.cost)
    if not plan.memory.fits:
        return f"does not fit: {needs(plan.memory)}"
    if not case.affordable(method):
        room = storage(case.facts, plan)[1] / 1e9
        return f"costs {cost} and leaves {room:.3g} GB, above {_limits(case.facts)}"
    if chosen == "prompting":
        return f"fewer than 500 usable rows ({case.facts.usable_rows:,})"
    if case.facts.method != "auto":
        return f"the recipe fixes method: {case.facts.method}; it would fit, {cost}"
    if method == "full":
        why = f"forbidden by {case.labels}" if case.blocks else "no rule wants it"
        return f"{why}; it would fit, {cost}"
    if chosen == "full":
        return f"{case.wants[0].label} wants full; it would fit, {cost}"
    if method == "qlora":
        return f"slower than LoRA, which fits; it would fit, {needs(plan.memory)}, {cost}"
    return f"an edge device wants QLoRA; it would fit, {cost}"


def warnings(
    case: Case, chosen: str, rules: tuple[Rule, ...], known: dict[str, Any]
) -> tuple[str, ...]:
    """Return what is possible but not right, each with what to do.

    Args:
        case: The case.
        chosen: The method.
        rules: The settings and lint rules that speak about it.
        known: The facts that their sentences name.
    """
    facts, told = case.facts, [*case.rank.notes, *warned(rules, known)]
    if facts.hardware.taken:
        told.append(facts.hardware.taken)
    if chosen in ("prompting", "nothing_fits"):
        return tuple(told)
    method: Method = chosen  # ty: ignore[invalid-assignment]
    told += _about_the_recipe(case, method)
    told += _about_money(case, method)
    count, processes = facts.hardware.count, facts.training.num_processes
    if count > 1 and processes not in (count, count * facts.training.num_machines):
        told.append(
            f"budget.gpu_count is {count} but training.num_processes is {processes}: batch sizes "
            "are for the processes. Set them equal."
        )
    if facts.eight_bit and chosen == "qlora":
        told.append("An 8-bit base is estimated, not trained here: QLoRA packs 4 bits.")
    told += [rule.differs for rule in (*case.spoken, *rules) if rule.differs]
    if facts.training.optim not in OPTIMIZERS and "adamw" not in facts.training.optim:
        told.append(f"training.optim = {facts.training.optim}: its memory is taken as AdamW's.")
    return tuple(dict.fromkeys(told))


def _about_the_recipe(case: Case, method: Method) -> list[str]:
    by_rules = case.choice_of_rules()
    if case.facts.method in ("auto", by_rules):
        return []
    labels = f" ({case.labels})." if method == "full" and case.blocks else "."
    return [f"The recipe fixes {NAMES[method]}; the rules would choose {NAMES[by_rules]}{labels}"]


def _about_money(case: Case, method: Method) -> list[str]:
    facts, cost = case.facts, case.plan(method).cost
    budget, tasks = facts.budget.max_usd, facts.requirements.tasks
    if cost.high_usd is None and (budget is not None or cost.price_source != "this machine"):
        low, high = (facts.hardware.count * x / 3600 for x in (cost.low_seconds, cost.high_seconds))
        compared = " It was not compared with the budget." if budget is not None else ""
        question = (
            f"What does an hour of {facts.hardware.name} cost? No price with a source is known "
            f"({cost.price_source}), so the answer is {low:.3g} to {high:.3g} GPU-hours.{compared} "
            "Set budget.usd_per_gpu_hour."
        )
        return [question]
    if budget is None or cost.high_usd is None:
        return []
    if method != "full" and tasks * cost.high_usd > budget:
        every = dollars(tasks * cost.high_usd)
        return [f"{tasks} adapters may cost {every} together, above {dollars(budget)}."]
    return []


def would_change(case: Case, chosen: str, lifts: tuple[str, ...]) -> tuple[str, ...]:
    """Return which other facts would lead to another method."""
    if chosen == "prompting":
        rest = f"{500 - case.facts.usable_rows} more usable rows"
        return (f"{rest}, or validation.allow_few_rows: true, would allow an adapter.",)
    if chosen == "nothing_fits":
        return ()
    if case.facts.method != "auto":
        choice = NAMES[case.choice_of_rules()]
        return (f"method: auto would choose {choice}.",)
    if chosen == "full":
        without = " and ".join(rule.lift or rule.condition for rule in case.wants)
        return (f"With {without}, LoRA r {case.rank.used} would be chosen.",)
    pairs = zip(case.blocks, lifts, strict=True)
    told = [f"Full needs ({rule.label}): {lift}." for rule, lift in pairs]
    if not case.wants:
        told.append(
            "Full would be wanted above 98 %, for a critical task, or above 97 % with more than "
            "$10,000 and a single task."
        )
    if chosen == "qlora" and not case.lora.memory.fits:
        told.append(f"LoRA would fit on {_smallest(case, 'lora')}.")
    return tuple(told + _about_full(case))


def _about_full(case: Case) -> list[str]:
    """Say what full would cost beside the policy bands, and name the last resort."""
    told = []
    if case.full.memory.fits and any(rule.id.startswith("Q1") for rule in case.blocks):
        told.append(f"The computed cost of full is {price(case.full.cost)}; the band is policy.")
    if case.wants and not case.full.memory.fits and case.facts.hardware.kind != "cpu":
        half = pure_half_memory(case.facts)
        if half.fits:
            told.append(
                f"Full with 16-bit states would fit ({needs(half)}) but rounds most small updates "
                "away; it is never chosen by itself."
            )
    return told
