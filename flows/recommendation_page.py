"""The recommendation as a terminal shows it: verdict, questions, comparison, memory bar, the rest.

One function a part, in reading order; everything stands in the record, nothing is computed here but
shares and units.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tasks.arguments.words import NAMES, dollars, duration, gib
from tasks.contracts import CostEstimate, MemoryEstimate, Option, Reason, Recommendation

__all__ = ["memory_bar", "recommendation_page"]

COLOURS = {"decided": "bold green", "agreed": "", "overruled": "yellow"}
OUTCOMES = {"decided": "decides", "agreed": "agrees", "overruled": "overruled"}
ROLES = {"chosen": "bold green", "runner-up": "", "rejected": "dim"}
#: The six questions of the guide come first in every record, in this order.
QUESTIONS = 6
#: Part of the peak -> its character and colour in the bar.
BAR = {
    "weights": ("█", "blue"),
    "gradients": ("▓", "red"),
    "optimizer": ("▒", "magenta"),
    "activations": ("░", "cyan"),
    "logits": ("+", "green"),
    "overhead": ("·", "white"),
}


def recommendation_page(
    choice: Recommendation,
    subject: str = "",
    heard: Mapping[str, tuple[str, ...]] | None = None,
    width: int = 100,
) -> list[RenderableType]:
    """Return the parts of the page, in reading order.

    Args:
        choice: The recommendation.
        subject: What it is for: the model and the machine.
        heard: What was understood and what was assumed, where somebody answered flags.
        width: Columns of the terminal.
    """
    parts: list[RenderableType] = [_verdict(choice, subject)]
    if choice.conflict:
        parts.append(Text(choice.conflict, "yellow"))
    for how, told in (heard or {}).items():
        if told:
            parts.append(Text(f"{how}: {', '.join(told)}", "dim"))
    parts += _questions(choice.reasons)
    if choice.comparison:
        parts += [_head("Side by side, computed for this case"), _comparison(choice, width)]
        parts += [Text(), _evidence(choice)]
    if choice.memory:
        parts += _memory(choice, width)
    if choice.hyperparameters:
        parts += [_head("Settings"), _settings(choice)]
    parts += _rest(choice)
    note = f"Rules: {choice.rules}. Times and the upper memory figure rest on heuristics."
    return [*parts, Text(note, "dim")]


def _head(title: str) -> Text:
    return Text.assemble("\n", (title, "bold"))


def _name(method: str, r: int | None) -> str:
    return NAMES[method] + (f" r {r}" if r else "")


def _verdict(choice: Recommendation, subject: str) -> Text:
    """Return the answer in one line: method, rank, memory, time and money."""
    chosen = choice.hyperparameters
    name = _name(choice.method, chosen.r if chosen else None)
    line = Text.assemble("Recommendation: ", (name, "bold"))
    if chosen and chosen.variant == "rslora":
        line.append(" (rsLoRA)")
    if choice.adapters > 1:
        line.append(f", {choice.adapters} adapters")
    if subject:
        line.append(f" for {subject}")
    if chosen and choice.memory and choice.cost:
        line.append(f": {_peak(choice.memory)}, {_time(choice.cost)}")
        if choice.cost.high_usd is not None:
            line.append(f", {_money(choice.cost)}")
    return line


def _peak(memory: MemoryEstimate) -> str:
    usable = "" if memory.available_bytes is None else f" of {gib(memory.available_bytes)}"
    return f"{gib(memory.low_bytes).removesuffix(' GiB')} to {gib(memory.high_bytes)}{usable}"


def _time(cost: CostEstimate) -> str:
    return f"{duration(cost.low_seconds)} to {duration(cost.high_seconds)}"


def _money(cost: CostEstimate) -> str:
    if cost.low_usd is None or cost.high_usd is None:
        return "no price known"
    return f"{dollars(cost.low_usd)} to {dollars(cost.high_usd)}"


def _questions(reasons: tuple[Reason, ...]) -> list[RenderableType]:
    """Return the six questions, then every other rule that spoke for or against a method."""
    asked = list(dict.fromkeys(reason.question for reason in reasons))[:QUESTIONS]
    six, others = _reasons("question"), _reasons("other rules")
    for reason in reasons:
        if reason.question in asked:
            number = asked.index(reason.question) + 1
            _reason(six, f"{number} {reason.question}", reason)
        elif reason.rule.partition(".")[0] not in ("rate", "alpha", "rslora", "targets", "lint"):
            _reason(others, reason.rule, reason)
    parts: list[RenderableType] = [_head("The six questions"), six]
    return [*parts, Text(), others] if others.row_count else parts


def _reasons(first: str) -> Table:
    table = Table(first, "answer", "argues for", "outcome", box=None, pad_edge=False)
    for column, ratio in zip(table.columns, (3, 3, 3, 3), strict=True):
        column.ratio = ratio
        column.header_style = "dim"
    table.expand = False
    return table


def _reason(table: Table, first: str, reason: Reason) -> None:
    by = f" by {reason.overruled_by}" if reason.overruled_by else ""
    outcome = Text(OUTCOMES[reason.outcome] + by, COLOURS[reason.outcome])
    argues = reason.argues_for
    if reason.why and reason.outcome == "decided":
        argues = f"{argues} ({reason.why})"
    table.add_row(first, reason.answer, argues, outcome)


def _comparison(choice: Recommendation, width: int) -> Table:
    """Return full, LoRA and QLoRA in columns, one measure a row."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for option in choice.comparison:
        table.add_column(Text(_name(option.method, option.r), ROLES[option.role]))
    rows = {
        "": [Text(option.role, ROLES[option.role]) for option in choice.comparison],
        "trained": [_trained(option, choice.comparison[0]) for option in choice.comparison],
        "peak memory": [_fits(option.memory) for option in choice.comparison],
        "time": [_time(option.cost) for option in choice.comparison],
        "cost": [_money(option.cost) for option in choice.comparison],
        "storage, 1 task": [_bytes(option.storage_bytes) for option in choice.comparison],
        f"storage, {max(1, choice.adapters)} with base" if choice.adapters else "storage, all": [
            _bytes(option.storage_all_bytes) for option in choice.comparison
        ],
    }
    for name, cells in rows.items():
        table.add_row(Text(name, "dim"), *cells)
    if width < 100:
        table.padding = (0, 1)
    return table


def _trained(option: Option, full: Option) -> str:
    share = option.trainable_parameters / (full.storage_bytes / 4)  # of all, stored in float32
    return f"{_amount(option.trainable_parameters)} ({100 * share:.3g} %)"


def _amount(number: int) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def _fits(memory: MemoryEstimate) -> Text:
    told = f"{gib(memory.low_bytes).removesuffix(' GiB')} to {gib(memory.high_bytes)}"
    return Text(told) if memory.fits else Text(f"{told}, too much", "yellow")


def _bytes(size: int) -> str:
    for unit, letter in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {letter}"
    return f"{size / 1e3:.3g} kB"


def _evidence(choice: Recommendation) -> Table:
    """Return what is published about forgetting and quality; not a prediction for this case."""
    table = Table("", "risk of forgetting", "quality, as published", box=None, pad_edge=False)
    for column in table.columns:
        column.header_style = "dim"
    for option in choice.comparison:
        table.add_row(NAMES[option.method], option.forgetting, option.quality)
    return table


def _memory(choice: Recommendation, width: int) -> list[RenderableType]:
    assert choice.memory is not None
    memory = choice.memory
    fits = "" if memory.fits else " — does not fit"
    head = f"Memory at the peak, {_peak(memory)} of one device{fits}"
    told = Text(", ").join(
        Text.assemble((BAR[name][0], BAR[name][1]), f" {name} {gib(size)}")
        for name, size in _parts(memory).items()
        if size > 0
    )
    return [_head(head), memory_bar(memory, min(width, 100)), told]


def _parts(memory: MemoryEstimate) -> dict[str, int]:
    return {
        "weights": memory.weights_bytes + memory.adapter_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes,
        "logits": memory.logits_bytes,
        "overhead": memory.overhead_bytes,
    }


def memory_bar(memory: MemoryEstimate, width: int) -> Text:
    """Return the parts as a bar; `|` marks what the device can give, blanks are free."""
    needed, usable = memory.high_bytes, memory.available_bytes
    whole = max(needed, usable or 0)
    cells = width - 2
    bar, filled, seen = Text(), 0, 0
    for name, size in _parts(memory).items():
        seen += max(0, size)
        end = round(seen / whole * cells)
        bar.append(BAR[name][0] * (end - filled), BAR[name][1])
        filled = max(filled, end)
    bar.append(" " * (cells - filled))
    if usable is None:
        return bar
    mark = min(cells, round(usable / whole * cells))
    return Text.assemble(bar[:mark], ("|", "bold"), bar[mark:])


def _settings(choice: Recommendation) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    chosen, cost = choice.hyperparameters, choice.cost
    assert chosen is not None
    if chosen.r:
        scale = f"effective scale {chosen.effective_scale:.2f}"
        adapter = f"r {chosen.r}, alpha {chosen.lora_alpha}, {chosen.variant}, {scale}"
        table.add_row("adapter", adapter)
        targets = chosen.target_modules
        table.add_row("targets", ", ".join(targets) if isinstance(targets, tuple) else targets)
    batch, accumulation = chosen.per_device_train_batch_size, chosen.gradient_accumulation_steps
    table.add_row("learning rate", f"{chosen.learning_rate:g}")
    table.add_row("batch", f"{batch} per device, accumulated {accumulation} times")
    table.add_row("steps", f"{chosen.steps:,} ({chosen.num_train_epochs:g} epochs)")
    checkpointing = ", gradient checkpointing" if chosen.gradient_checkpointing else ""
    table.add_row("precision", chosen.dtype + checkpointing)
    if cost:
        hours = f"{duration(cost.low_seconds)} to {duration(cost.high_seconds)}"
        table.add_row("time", f"{hours} for {_amount(cost.train_tokens)} tokens")
        table.add_row("money", f"{_money(cost)} (price: {cost.price_source})")
    table.add_row("device", choice.device)
    return table


def _rest(choice: Recommendation) -> list[RenderableType]:
    """Return runner-up, rejected, advice, what would change the answer, and warnings."""
    told: list[tuple[str, str, str]] = []
    second = choice.runner_up
    for other in choice.alternatives:
        mark = "runner-up" if second and second.method == other.method else "rejected"
        told.append((mark, f"{_name(other.method, other.r)}: {other.why_not}", ""))
    for one in choice.advice:
        line = f"your recipe says {one.key}: {one.yours}; {one.advised} is advised because {one.because}"
        told.append(("differs", line, "yellow"))
    told += [("would change it", line, "") for line in choice.would_change]
    told += [("warning", line, "yellow") for line in choice.warnings]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for mark, line, colour in told:
        table.add_row(mark, Text(line, colour))
    return [Text(), table] if told else []
