"""Advice: what the recipe fixes, beside what the rules would choose if it were left open.

The recipe wins; this says what it gives up. The open case is the same with every setting that rules
can choose taken back to None.
"""

from __future__ import annotations

from tasks.arguments.case import Case
from tasks.arguments.words import NAMES
from tasks.contracts import Advice, Hyperparameters, Method
from tasks.estimates.facts import Facts

__all__ = ["advice", "fixes_something", "left_open"]

#: Recipe key -> the setting it fixes.
KEYS = {
    "lora.r": "r",
    "lora.lora_alpha": "lora_alpha",
    "lora.variant": "variant",
    "lora.target_modules": "target_modules",
    "training.learning_rate": "learning_rate",
    "training.per_device_train_batch_size": "per_device_train_batch_size",
    "training.gradient_accumulation_steps": "gradient_accumulation_steps",
    "training.gradient_checkpointing": "gradient_checkpointing",
    "model.dtype": "dtype",
}
OPEN_LORA = {"r": None, "lora_alpha": None, "variant": None, "target_modules": "all-linear"}
OPEN_TRAINING = {
    "learning_rate": None,
    "per_device_train_batch_size": None,
    "gradient_accumulation_steps": None,
    "gradient_checkpointing": None,
}


def left_open(facts: Facts) -> Facts:
    """Return the facts with every setting that rules can choose left open."""
    return facts.model_copy(
        update={
            "method": "auto",
            "dtype": "auto",
            "lora": facts.lora.model_copy(update=OPEN_LORA),
            "training": facts.training.model_copy(update=OPEN_TRAINING),
        }
    )


def fixes_something(facts: Facts) -> bool:
    """Return whether the recipe fixes anything that rules would choose."""
    return (
        (facts.method, facts.dtype) != ("auto", "auto")
        or any(getattr(facts.lora, key) != value for key, value in OPEN_LORA.items())
        or any(getattr(facts.training, key) is not None for key in OPEN_TRAINING)
    )


def advice(case: Case, open_case: Case, method: Method) -> tuple[Advice, ...]:
    """Return each setting of the recipe that differs from the rules' choice, and why.

    Args:
        case: The case with what the recipe fixes.
        open_case: The same with `left_open` facts.
        method: The method that is used; settings are compared within one method.
    """
    found = []
    advised = open_case.choice_of_rules()
    if case.facts.method not in ("auto", advised):
        wants = ", ".join(rule.label for rule in open_case.wants)
        why = f"{wants} argues for it" if advised == "full" else "no rule wants full fine-tuning"
        if advised != "full" and open_case.labels:
            why = f"{open_case.labels} argues for it"
        found.append(Advice(key="method", yours=case.facts.method, advised=advised, because=why))
    yours = case.plan(method).hyperparameters
    theirs = open_case.plan(method).hyperparameters
    for key, name in KEYS.items():
        mine, other = getattr(yours, name), getattr(theirs, name)
        if mine != other and _fixed(case.facts, key):
            found.append(
                Advice(
                    key=key,
                    yours=_text(mine),
                    advised=_text(other),
                    because=_because(open_case, name, method, theirs),
                )
            )
    return tuple(found)


def _fixed(facts: Facts, key: str) -> bool:
    section, _, name = key.partition(".")
    if key == "model.dtype":
        return facts.dtype != "auto"
    value = getattr(getattr(facts, section), name)
    return value not in (None, "all-linear")


def _because(case: Case, name: str, method: Method, theirs: Hyperparameters) -> str:
    reasons = {
        "r": f"{case.rank.decided_by} asks for it",
        "lora_alpha": f"that keeps the effective scale at r {theirs.r} right",
        "variant": f"rsLoRA is for r 64 and more (here r {theirs.r})",
        "target_modules": "on all linear layers LoRA equals full (LoRA Without Regret, 2025-09)",
        "learning_rate": f"that is usual for {NAMES[method]} at this size",
        "per_device_train_batch_size": "it is the largest that fits, up to the global batch",
        "gradient_accumulation_steps": "that reaches the global batch",
        "gradient_checkpointing": "it is worth its time only where memory is short",
        "dtype": f"{case.facts.hardware.title} computes best in it",
    }
    return reasons[name]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
