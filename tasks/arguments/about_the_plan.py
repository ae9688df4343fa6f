"""About the plan: the rules on its settings, the known mistakes in it, and their warnings.

These rules speak last, when the method is chosen; they change nothing, they confirm or warn.
"""

from __future__ import annotations

from typing import Any

from tasks.arguments.case import Case
from tasks.arguments.rules import Rule, speaking
from tasks.arguments.words import NAMES
from tasks.contracts import Hyperparameters, Method
from tasks.estimates.parameters import adapted
from tasks.estimates.plan import learning_rate

__all__ = ["about_the_plan", "warned"]

#: Last names of linear layers -> the guide's tiers; layers that fuse q, k and v count for all.
MINIMUM = {"q_proj", "v_proj"}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "c_attn", "query_key_value"}


def about_the_plan(case: Case, chosen: str) -> tuple[tuple[Rule, ...], dict[str, Any]]:
    """Return the settings and lint rules that speak for the chosen method, and what they know."""
    if chosen == "prompting":
        return (), {}
    known = case.known | _asked(case)
    if chosen != "nothing_fits":
        method: Method = chosen  # ty: ignore[invalid-assignment]
        known |= _chosen(case, method)
    return speaking(case.facts.rules, known, "plan"), known


def warned(rules: tuple[Rule, ...], known: dict[str, Any]) -> list[str]:
    """Return the warnings of these rules, with the facts filled in."""
    return [rule.warns.format(**known) for rule in rules if rule.warns]


def _asked(case: Case) -> dict[str, Any]:
    asked = case.facts.method
    fits = None if asked == "auto" else case.plan(asked).memory.fits
    return {"asked_fits": fits, "qlora_fits": case.qlora.memory.fits}


def _chosen(case: Case, method: Method) -> dict[str, Any]:
    facts, settings = case.facts, case.plan(method).hyperparameters
    usual = learning_rate(
        method,
        facts.architecture.parameters,
        settings.variant or "lora",
        classifies=facts.architecture.labels > 0,
    )
    save_steps, learned = facts.training.save_steps, facts.loss_tokens
    known: dict[str, Any] = {
        "method": method,
        "name": NAMES[method],
        "held": facts.replay_rows > 0
        or (method == "full" and (facts.ewc or facts.freeze is not None)),
        "rate": settings.learning_rate,
        "usual_rate": usual,
        "rate_of_usual": float(f"{settings.learning_rate / usual:.12g}"),
        "save_steps": save_steps,
        "steps": settings.steps,
        "saves": None if save_steps is None else settings.steps // save_steps,
    }
    if method != "full":
        known |= {
            "r": settings.r,
            "variant": settings.variant,
            "scale": settings.effective_scale,
            "targets": _tier(case, settings),
            "learned": learned,
            "trained": settings.trainable_parameters,
        }
        if learned is not None:
            known["learned_per_parameter"] = learned / settings.trainable_parameters
    return known


def _tier(case: Case, settings: Hyperparameters) -> str:
    """Return the guide's tier of target modules: minimum, better or maximum."""
    assert settings.target_modules is not None
    if settings.target_modules == "all-linear":
        return "maximum"
    layers = adapted(case.facts.architecture, settings.target_modules)
    names = {layer.name.rpartition(".")[2] for layer in layers}
    if names <= MINIMUM:
        return "minimum"
    inside = all("attn" in x.name or x.name.rpartition(".")[2] in ATTENTION for x in layers)
    return "better" if inside else "maximum"
