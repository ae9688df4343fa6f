"""Cases of the decision: the worked table, one case a remaining rule, and one each side of a limit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tasks.decision import Facts, decide
from tasks.estimates.architecture import architecture
from tasks.estimates.hardware import card, hardware_for, this_cpu
from tasks.recipe import BudgetSection, LoraSection, RequirementsSection, TrainingSection

__all__ = ["CASES", "LABELS", "Expected", "at_the_limits", "facts_of", "more_cases", "worked_cases"]

CASES = [
    [cell.strip() for cell in line.strip("|\n ").split("|")]
    for line in (Path(__file__).parent / "worked_cases.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [MUCFD]\d", line)
]
COMPLEXITY = {"simple": "simple", "complex": "complex", "very complex": "very_complex"}
WORDS = {
    "critical": {"critical": True},
    "rapid": {"rapid": "updates"},
    "A/B": {"rapid": "ab_testing"},
    "edge": {"deployment": "edge"},
    "very different": {"domain_shift": "very_different"},
    "continual: sequential": {"continual": "sequential"},
    "continual: forgetting": {"continual": "forgetting"},
    "near full": {"complexity": "near_full"},
    **{word: {"complexity": name} for word, name in COMPLEXITY.items()},
}
#: What a case calls the rules, and what the rules call themselves.
LABELS = {
    "Q1 $1,000-10,000": "Q1.middle",
    "Q1 < $1,000": "Q1.low",
    "Q3 2-5 tasks": "Q3.few",
    "Q3 > 5 tasks": "Q3.many",
    "R2 > 3 tasks": "R2.tasks",
    "D2 rows < 10,000": "D2",
    "M0": "M0",
    "M1 memory": "M1",
    "Q5 edge": "Q5.edge",
    "Q5 rapid": "Q5.updates",
    "Q6 forgetting": "Q6.forgetting",
    "A/B": "Q5.ab",
    "Q4": "Q4.above",
    "critical": "critical",
    "R1": "R1",
    "D1": "D1",
    "default": "default",
}
METHODS = {"full": "full", "LoRA": "lora", "QLoRA": "qlora", "nothing": "nothing_fits"}


@dataclass(frozen=True)
class Expected:
    """A case and what has to come out; None where the guide does not say."""

    name: str
    facts: Facts
    method: str | None = None
    r: int | None = None
    conflict: bool | None = None
    adapters: int | None = None
    scale: float | None = None
    decided: frozenset[str] = frozenset()


def facts_of(text: str, **changes: object) -> Facts:
    """Read `llama3.1-8b, 8 x a100-80; $900; 99 %; 50,000 rows`."""
    machine, *parts = re.split(r"; ", text)
    model, _, gpu = machine.partition(", ")
    count, _, name = gpu.rpartition(" x ")
    asked: dict[str, object] = {}
    rows, length, money = 10_000, 1024, None
    for part in parts:
        number = re.match(r"\$?([\d,.]+)", part)
        value = float(number[1].replace(",", "")) if number else 0.0
        if part in WORDS:
            asked |= WORDS[part]
        elif part.startswith("$"):
            money = value
        elif part.endswith("%"):
            asked["accuracy"] = value / 100
        elif part.endswith("tasks"):
            asked["tasks"] = int(value)
        elif part.endswith("rows"):
            rows = int(value)
        elif part.endswith("tokens"):
            length = int(value)
        else:
            raise AssertionError(part)
    training = TrainingSection(per_device_train_batch_size=1, gradient_checkpointing=True)
    facts = Facts(
        architecture=architecture(model),
        hardware=card(name, int(count or 1)),
        rows=rows,
        train_tokens=rows * length,
        length=length,
        training=training,
        requirements=RequirementsSection.model_validate(asked),
        budget=BudgetSection(max_usd=money),
    )
    return facts.model_copy(update=changes)


def worked_cases() -> list[Expected]:
    """Return the 57 cases of the table."""
    cases = []
    for name, text, wanted, because, _ in CASES:
        rank, adapters = re.search(r"r (\d+)", wanted), re.search(r"(\d+) adapters", wanted)
        cases.append(
            Expected(
                name=name.split()[0],
                facts=facts_of(text),
                method=METHODS.get(wanted.split()[0], "prompting"),
                r=int(rank[1]) if rank else None,
                conflict="**conflict**" in because or "fits" in wanted,
                adapters=int(adapters[1]) if adapters else 1 if rank else None,
                scale=2.0 if rank else None,
                decided=frozenset(
                    LABELS[part] for part in re.split(r"[,;] ", because) if "conflict" not in part
                ),
            )
        )
    return cases


def more_cases() -> list[Expected]:
    """Return a case for each rule that the table does not decide with: settings, lints, profiles."""
    lora, loop = LoraSection, TrainingSection(per_device_train_batch_size=1)
    big = "llama3.1-8b, 8 x a100-80; $50,000; 99 %; 50,000 rows"
    one = "llama3.2-1b, h200; 99 %; 50,000 rows"
    card_48 = "llama3.1-8b, l40s"
    forgetting = "llama3.1-8b, 8 x a100-80; $50,000; continual: forgetting; 100,000 rows"

    def case(name: str, text: str, wanted: str, r: int | None, /, **changes: object) -> Expected:
        return Expected(name, facts_of(text, **changes), wanted, r)

    def loop_with(**changes: object) -> TrainingSection:
        return loop.model_copy(update=changes)

    cpu = facts_of("qwen2.5-0.5b, t4", hardware=this_cpu(), length=64, train_tokens=640_000)
    other = hardware_for(BudgetSection(vram_gb=24))
    dear = facts_of(f"{big}; critical")
    cost = decide(dear).cost
    assert cost is not None
    assert cost.high_usd is not None
    assert dear.hardware.usd_per_hour is not None
    price = tuple(usd * 2200 / cost.high_usd for usd in dear.hardware.usd_per_hour)
    hardware = dear.hardware.model_copy(update={"usd_per_hour": price})
    dear = dear.model_copy(update={"hardware": hardware, "budget": BudgetSection(max_usd=2000)})
    return [
        Expected("full at $2,200, budget $2,000", dear, "lora", 64, conflict=True),
        case("adapter asked for, 99 %", one, "lora", 64, method="lora"),
        Expected("critical A/B", facts_of(f"{card_48}; critical; A/B"), "lora", 64, conflict=True),
        Expected("99 %, rapid", facts_of(f"{big}; rapid"), "lora", 64, conflict=True),
        case("guide, $5,000", forgetting.replace("$50", "$5"), "lora", 64, rules="guide"),
        case("edge, own r", f"{card_48}; edge", "qlora", 32, lora=lora(r=32)),
        case("four tasks, 96 %", f"{card_48}; 96 %; 4 tasks", "lora", 64),
        Expected("cpu", cpu, "lora", 16, conflict=False),
        case("unknown card", "llama3.1-8b, l4", "lora", 16, hardware=other),
        case("two fast tasks", f"{card_48}; 2 tasks; rapid", "lora", 16),
        case("simple A/B", f"{card_48}; simple; A/B; 96 %", "lora", 64),
        case("very complex A/B", f"{card_48}; very complex; A/B", "lora", 8),
        case("money", one, "lora", 64, budget=BudgetSection(max_usd=24)),
        case("time", one, "lora", 64, budget=BudgetSection(max_hours=3.4)),
        case("room", one, "lora", 64, budget=BudgetSection(storage_gb=4.0)),
        case("guide, forgetting", forgetting, "full", None, rules="guide"),
        Expected("guide, r 64", facts_of(f"{card_48}; 96 %", rules="guide"), "lora", 64, scale=16),
        Expected("r 63", facts_of(card_48, lora=lora(r=63)), "lora", 63, scale=2),
        Expected("r 64", facts_of(card_48, lora=lora(r=64)), "lora", 64, scale=2),
        case("r 7, complex", f"{card_48}; complex", "lora", 7, lora=lora(r=7)),
        case("r 7, coding", f"{card_48}; very complex", "lora", 7, lora=lora(r=7)),
        case("r 7, near full", f"{card_48}; near full", "lora", 7, lora=lora(r=7)),
        case("r 8, complex", f"{card_48}; complex", "lora", 8, lora=lora(r=8)),
        case("r 7, medium", card_48, "lora", 7, lora=lora(r=7)),
        case("q and v", card_48, "lora", 16, lora=lora(target_modules=("q_proj", "v_proj"))),
        case(
            "attention", card_48, "lora", 16,
            lora=lora(target_modules=("q_proj", "k_proj", "v_proj", "o_proj")),
        ),
        case("full's rate", card_48, "lora", 16, training=loop_with(learning_rate=2e-5)),
        case("a fifth", card_48, "lora", 16, training=loop_with(learning_rate=4.1e-5)),
        case("six times", card_48, "lora", 16, training=loop_with(learning_rate=1.2e-3)),
        case("full, LoRA's rate", one, "full", None, training=loop_with(learning_rate=2e-4)),
        case("full, low rate", one, "full", None, training=loop_with(learning_rate=2e-6)),
        case("16 bits asked for", "llama2-7b, t4", "nothing_fits", None, method="lora"),
        case("full asked for", "llama2-7b, t4", "nothing_fits", None, method="full"),
        case("4 bits asked for", "llama3.1-70b, t4", "nothing_fits", None, method="qlora"),
        case("999 rows", f"{card_48}; 999 rows", "lora", 16),
        case("400 simple rows", f"{card_48}; simple; 400 rows", "lora", 8, insists=True),
        case("400 rows, 4 bits", f"{card_48}; 400 rows", "qlora", 16, insists=True, method="qlora"),
        case("500 rows, 4 bits", f"{card_48}; 500 rows", "qlora", 16, method="qlora"),
        case("full, few rows", "llama3.2-1b, h200; 99 %; 9,999 rows", "full", None, method="full"),
        case("one save at the end", card_48, "lora", 16, training=loop_with(save_steps=1875)),
        case("no save", card_48, "lora", 16, training=loop_with(save_steps=1876)),
        case("alpha 128 at r 16", card_48, "lora", 16, lora=lora(lora_alpha=128)),
        case("alpha 4 at r 16", card_48, "lora", 16, lora=lora(lora_alpha=4)),
        case("much to learn", card_48, "lora", 8, lora=lora(r=8), loss_tokens=30_000_000),
        case("enough numbers", card_48, "lora", 16, loss_tokens=30_000_000),
    ]  # fmt: skip


def at_the_limits() -> list[Expected]:
    """Return, for every threshold of the rules, a case just below it, at it, and just above it."""
    cases = []
    big = facts_of("llama3.1-8b, 8 x a100-80; 50,000 rows")
    small = facts_of("llama3.1-8b, l40s")
    for base in (big, small):
        for critical in (False, True):
            asked = base.requirements.model_copy(update={"critical": critical})
            whole = base.model_copy(update={"requirements": asked})
            for limit in (1000, 5000, 10_000):
                for usd in (limit - 0.01, limit, limit + 0.01):
                    budget = BudgetSection(max_usd=usd)
                    cases.append((f"${usd}", whole.model_copy(update={"budget": budget})))
    for money in (None, 20_000):
        for limit in (0.95, 0.97, 0.98):
            for share in (limit - 1e-6, limit, limit + 1e-6):
                for tasks in (1, 2, 3, 4):
                    answers = {"accuracy": share, "tasks": tasks, "critical": tasks == 2}
                    asked = big.requirements.model_copy(update=answers)
                    update = {"requirements": asked, "budget": BudgetSection(max_usd=money)}
                    cases.append((f"{share} {tasks} tasks", big.model_copy(update=update)))
    for base in (big, small):
        for tasks in range(1, 8):
            asked = base.requirements.model_copy(update={"tasks": tasks})
            cases.append((f"{tasks} tasks", base.model_copy(update={"requirements": asked})))
    for complexity in ("simple", "medium"):
        for rows in (499, 500, 501, 999, 1000, 1001, 9999, 10_000, 10_001):
            for method in ("auto", "full", "qlora"):
                for insists in (False, True):
                    asked = big.requirements.model_copy(update={"complexity": complexity})
                    update = {"rows": rows, "method": method, "insists": insists}
                    whole = big.model_copy(update={**update, "requirements": asked})
                    cases.append((f"{rows} rows {method}", whole))
    for count in (7, 8, 9):
        hardware = card("a100-80", count)
        for parameters in (7e9 - 1, 7e9, 7e9 + 1):
            model = _with_parameters(parameters)
            update = {"hardware": hardware, "architecture": model}
            cases.append((f"{count} cards, {parameters:.10g}", big.model_copy(update=update)))
    for gib in (78.99, 79, 79.01):
        for count in (1, 7, 8):
            hardware = card("a100-80", count).model_copy(update={"usable_gib": gib})
            asked = big.requirements.model_copy(update={"tasks": 3})
            update = {"hardware": hardware, "requirements": asked}
            cases.append((f"{count} x {gib} GiB", big.model_copy(update=update)))
    for parameters in (100e9 - 1, 100e9, 100e9 + 1):
        update = {"architecture": _with_parameters(parameters), "hardware": card("h200")}
        cases.append((f"{parameters:.13g} parameters", big.model_copy(update=update)))
    cases += _settings_at_their_limits(small)
    return [Expected(name, facts) for name, facts in cases]


def _settings_at_their_limits(base: Facts) -> list[tuple[str, Facts]]:
    cases = []
    loop = base.training
    for rate in (3.99e-5, 4e-5, 4.01e-5, 0.999e-3, 1e-3, 1.001e-3):
        training = loop.model_copy(update={"learning_rate": rate})
        cases.append((f"rate {rate}", base.model_copy(update={"training": training})))
    for rate in (3.99e-6, 4e-6, 4.01e-6, 0.999e-4, 1e-4, 1.001e-4):
        training = loop.model_copy(update={"learning_rate": rate})
        update = {"training": training, "method": "full", "hardware": card("b200")}
        cases.append((f"full, rate {rate}", base.model_copy(update=update)))
    for alpha in (7, 8, 9, 63, 64, 65):
        lora = LoraSection(r=16, lora_alpha=alpha)
        cases.append((f"alpha {alpha}", base.model_copy(update={"lora": lora})))
    trained = 16 * 32 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))
    for learned in (trained - 1, trained, trained + 1):
        update = {"lora": LoraSection(r=16), "loss_tokens": learned}
        cases.append((f"{learned} tokens", base.model_copy(update=update)))
    for r in (7, 8, 9, 63, 64, 65):
        asked = base.requirements.model_copy(update={"complexity": "complex"})
        update = {"lora": LoraSection(r=r), "requirements": asked}
        cases.append((f"r {r}", base.model_copy(update=update)))
    return cases


def _with_parameters(count: float):
    """Return an 8B model whose norms are swollen so that it has exactly so many parameters."""
    model = architecture("llama3.1-8b")
    if count < model.parameters:
        model = architecture("llama2-7b")
    extra = int(count) - model.parameters
    return model.model_copy(update={"other_parameters": model.other_parameters + extra})
