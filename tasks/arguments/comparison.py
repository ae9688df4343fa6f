"""Comparison: full, LoRA and QLoRA side by side for one case, as the guide's table has them.

Trained parameters, memory, time, money and storage are computed; forgetting and quality are what
is published about the methods, with its source (`evidence` in the rules file), not a prediction.
"""

from __future__ import annotations

from typing import Literal

from tasks.arguments.case import Case, storage
from tasks.arguments.rules import table
from tasks.contracts import Method, Option

__all__ = ["METHODS", "comparison"]

METHODS: tuple[Method, ...] = ("full", "lora", "qlora")


def comparison(case: Case, chosen: str, runner_up: Method | None) -> tuple[Option, ...]:
    """Return one option a method, in the order full, LoRA, QLoRA."""
    return tuple(_option(case, method, chosen, runner_up) for method in METHODS)


def _option(case: Case, method: Method, chosen: str, runner_up: Method | None) -> Option:
    plan, known = case.plan(method), table("evidence")[method]
    one, every = storage(case.facts, plan)
    role: Literal["chosen", "runner-up", "rejected"] = (
        "chosen" if method == chosen else "runner-up" if method == runner_up else "rejected"
    )
    return Option(
        method=method,
        r=plan.hyperparameters.r,
        role=role,
        trainable_parameters=plan.hyperparameters.trainable_parameters,
        memory=plan.memory,
        cost=plan.cost,
        storage_bytes=one,
        storage_all_bytes=every,
        forgetting=known["forgetting"],
        quality=known["quality"],
    )
