"""Sentences: what was compromised, why not another method, warnings, and what would change it."""

from __future__ import annotations

from tasks.arguments.case import Case, within_budget, within_hours
from tasks.arguments.rules import table
from tasks.arguments.words import NAMES, dollars, gib, needs, percent, price
from tasks.contracts import MemoryEstimate, Method
from tasks.estimates.facts import Facts
from tasks.estimates.hardware import Hardware, card, cards
from tasks.estimates.memory import OPTIMIZERS
from tasks.estimates.plan import learning_rate, make_plan, pure_half_memory

__all__ = ["conflict", "warnings", "why_not", "would_change"]

COUNTS = (1, 2, 4, 8)


def conflict(case: Case, chosen: str) -> str | None:
    """Return the compromise in a sentence, or why nothing fits; None if there is neither."""
    if chosen == "nothing_fits":
        return _nothing_fits(case)
    if not case.conflict or chosen not in ("lora", "qlora") or case.facts.method != "auto":
        return None
    wanting = ", ".join(rule.label for rule in case.wants)
    lifts = "; ".join(_lift(case, rule.id) for rule in case.blocks)
    accuracy = case.facts.requirements.accuracy
    gate = f" The evaluation gate stays at {percent(accuracy)}." if accuracy else ""
    return (
        f"Full fine-tuning is wanted ({wanting}) but forbidden ({case.labels}): the plan is "
        f"{NAMES[chosen]} r {case.rank.used}. Lifting that takes: {lifts}.{gate}"
    )


def _nothing_fits(case: Case) -> str:
    facts = case.facts
    method: Method = "qlora" if facts.method == "auto" else facts.method
    plan, hardware = case.plan(method), facts.hardware
    rank = "" if method == "full" else f" r {case.rank.used}"
    subject = f"{facts.architecture.name} with {NAMES[method]}{rank}"
    if plan.memory.fits:
        return (
            f"{subject} costs {price(plan.cost)} on {hardware.title}; the upper end is above "
            f"{_limits(facts)}. Raise the limit, train on fewer rows, or choose a cheaper card."
        )
    near = _nearest(case)
    return (
        f"{subject} needs {gib(plan.memory.high_bytes)} ({_parts(plan.memory)}) but "
        f"{hardware.title} has {gib(hardware.usable_bytes)} usable{_each(hardware)}. "
        + (f"Nearest that fits: {near}. " if near else "No method fits at any length. ")
        + f"It would fit, cheapest by the hour, on {_smallest(case, method)}."
    )


def _limits(facts: Facts) -> str:
    budget = facts.budget
    money = f"budget.max_usd ({dollars(budget.max_usd)})" if budget.max_usd else ""
    hours = f"budget.max_hours ({budget.max_hours:g})" if budget.max_hours else ""
    return " or ".join(part for part in (money, hours) if part)


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
            plan = make_plan(shorter, method, r)
            if plan.memory.fits:
                return (
                    f"method: {method}, lora.r: {r}, dataset.max_length: {length} "
                    f"({gib(plan.memory.high_bytes)})"
                )
        length //= 2
    return None


def _smallest(case: Case, method: Method) -> str:
    """Return the cards of the catalogue, cheapest by the hour, that a method fits, and its cost."""
    offers = [card(name, count) for name in cards() for count in COUNTS]
    priced = [(x.usd_per_hour[1] * x.count, x) for x in offers if x.usd_per_hour]
    for _, hardware in sorted(priced, key=lambda offer: offer[0]):
        facts = case.facts.model_copy(update={"hardware": hardware})
        plan = make_plan(facts, method, case.rank.used)
        if plan.memory.fits:
            return f"{hardware.title} ({price(plan.cost)})"
    return "no 1 to 8 cards of the catalogue"


def _lift(case: Case, rule_id: str) -> str:
    """Return what would have to change for a rule to fall silent."""
    if rule_id == "M1":
        memory = case.full.memory
        return f"memory for full ({needs(memory)}), cheapest on {_smallest(case, 'full')}"
    if rule_id in ("COST", "TIME"):
        return f"a higher limit than {_limits(case.facts)}; full costs {price(case.full.cost)}"
    rule = next(rule for rule in case.spoken if rule.id == rule_id)
    return rule.lift or rule.condition


def why_not(case: Case, method: Method, chosen: str) -> str:
    """Return why a method was not chosen, with its figures."""
    plan = case.plan(method)
    cost = price(plan.cost)
    if not plan.memory.fits:
        return f"does not fit: {needs(plan.memory)}"
    if within_budget(case.facts, plan) is False or within_hours(case.facts, plan) is False:
        return f"costs {cost}, above {_limits(case.facts)}"
    if chosen == "prompting":
        return f"fewer than 500 usable rows ({case.facts.rows:,})"
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


def warnings(case: Case, chosen: str) -> tuple[str, ...]:
    """Return what is possible but not right, each with what to do."""
    facts, told = case.facts, list(case.rank.notes)
    if chosen in ("prompting", "nothing_fits"):
        return tuple(told)
    method: Method = chosen  # ty: ignore[invalid-assignment]
    told += _about_rows(facts, method)
    told += _about_the_recipe(case, method)
    told += _about_money(case, method)
    told += _about_capacity(case, method)
    count, processes = facts.hardware.count, facts.training.num_processes
    if count > 1:
        told.append(
            f"The memory figure holds with weights and states sharded over {count} GPUs "
            "(FSDP or ZeRO-3)."
        )
        if processes != count:
            told.append(
                f"budget.gpu_count is {count} but training.num_processes is {processes}: batch "
                "sizes are for the processes. Set them equal."
            )
    if facts.requirements.continual == "forgetting":
        other = "full fine-tuning" if facts.rules == "evidence" else "LoRA r 64 with rsLoRA"
        whose = "the guide" if facts.rules == "evidence" else "newer evidence (arXiv 2405.09673)"
        told.append(f"Where forgetting must be avoided, {whose} would choose {other} instead.")
    if facts.training.optim not in OPTIMIZERS and "adamw" not in facts.training.optim:
        told.append(f"training.optim = {facts.training.optim}: its memory is taken as AdamW's.")
    return tuple(told)


def _about_rows(facts: Facts, method: Method) -> list[str]:
    least = table("minimum_rows")
    simple = method == "lora" and facts.requirements.complexity == "simple"
    minimum = least["lora_simple" if simple else method]
    if facts.rows >= minimum:
        return []
    return [
        (
            f"{facts.rows:,} usable rows, but {NAMES[method]} wants {minimum:,}: expect a model that "
            "repeats its examples. Add rows, or a higher dropout and fewer epochs."
        )
    ]


def _about_the_recipe(case: Case, method: Method) -> list[str]:
    facts, told = case.facts, []
    by_rules = case.choice_of_rules()
    if facts.method != "auto" and by_rules != method:
        told.append(
            f"The recipe fixes {NAMES[method]}; the rules would choose {NAMES[by_rules]}"
            + (f" ({case.labels})." if method == "full" and case.blocks else ".")
        )
    settings = case.plan(method).hyperparameters
    usual = learning_rate(method, facts.architecture.parameters)
    rate = settings.learning_rate
    if not usual / 5 <= rate <= usual * 5:
        told.append(
            f"training.learning_rate = {rate:g} is far from {usual:g}, usual for "
            f"{NAMES[method]} at this size"
            + (" (full's rate used for LoRA is a named mistake)." if rate < usual else ".")
        )
    if method == "full":
        return told
    assert settings.effective_scale is not None
    if not 0.5 <= settings.effective_scale <= 4:
        told.append(
            f"The effective scale is {settings.effective_scale:.1f} instead of 2, which acts as "
            "another learning rate; forgetting follows it (methods.md 3.2)."
        )
    if case.rank.used < 8 and facts.requirements.complexity not in ("simple", "medium"):
        told.append(f"lora.r = {case.rank.used} on a complex task is a named mistake; try 16.")
    return told


def _about_money(case: Case, method: Method) -> list[str]:
    facts, cost = case.facts, case.plan(method).cost
    budget, tasks = facts.budget.max_usd, facts.requirements.tasks
    if budget is None:
        return []
    if cost.high_usd is None:
        return [
            (
                f"No price is known ({cost.price_source}), so the computed cost was not compared with "
                "the budget. Set budget.usd_per_gpu_hour."
            )
        ]
    if method != "full" and tasks * cost.high_usd > budget:
        every = dollars(tasks * cost.high_usd)
        return [f"{tasks} adapters may cost {every} together, above {dollars(budget)}."]
    return []


def _about_capacity(case: Case, method: Method) -> list[str]:
    tokens, settings = case.facts.loss_tokens, case.plan(method).hyperparameters
    if method == "full" or tokens is None or tokens <= settings.trainable_parameters:
        return []
    return [
        (
            f"{tokens:,} tokens are learned by {settings.trainable_parameters:,} parameters: capacity "
            "may bind (LoRA Without Regret, heuristic). A higher lora.r would help."
        )
    ]


def would_change(case: Case, chosen: str) -> tuple[str, ...]:
    """Return which other facts would lead to another method."""
    if chosen == "prompting":
        rest = f"{500 - case.facts.rows} more usable rows"
        return (f"{rest}, or validation.allow_few_rows: true, would allow an adapter.",)
    if chosen == "nothing_fits":
        return ()
    if case.facts.method != "auto":
        choice = NAMES[case.choice_of_rules()]
        return (f"method: auto would choose {choice}.",)
    if chosen == "full":
        lifts = " and ".join(rule.lift or rule.condition for rule in case.wants)
        return (f"With {lifts}, LoRA r {case.rank.used} would be chosen.",)
    told = [f"Full needs ({rule.label}): {_lift(case, rule.id)}." for rule in case.blocks]
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
