"""Sharing: how the processes of a run share its work, from the memory that each way takes."""

from __future__ import annotations

from tasks.arguments.case import Case
from tasks.arguments.rules import table
from tasks.arguments.words import gib
from tasks.contracts import Method, Reason
from tasks.errors import RecipeError
from tasks.estimates.plan import Plan, memory_under
from tasks.estimates.profiles import devices_of, why_not
from tasks.sections.sharding import Profile

__all__ = ["refuse_profile", "sharing", "unshared"]

#: What each profile is and what it costs, in a sentence.
WHAT: dict[Profile, str] = {
    "multi_gpu": "DDP: each has the whole model, and only gradients travel",
    "fsdp2": "each has a share of weights, gradients and moments; layers are gathered in turn",
    "zero2": "each has all weights, and a share of gradients and moments (DeepSpeed)",
    "zero3": "each has a share of weights, gradients and moments (DeepSpeed)",
}


def refuse_profile(case: Case, chosen: str) -> None:
    """Refuse the recipe's profile for the method that was chosen, if it cannot work.

    Raises:
        RecipeError: It cannot, with the mend.
    """
    profile = case.facts.training.accelerate_config
    if profile == "auto" or chosen in ("prompting", "nothing_fits"):
        return
    method: Method = chosen  # ty: ignore[invalid-assignment]
    why = why_not(profile, case.facts, method, case.rank.used)
    if why is not None:
        raise RecipeError(f"{why}.")
    if profile in ("zero2", "zero3") and case.facts.hardware.kind == "cpu":
        raise RecipeError(
            f"training.accelerate_config: {profile}: DeepSpeed is run on GPUs here, and the plan "
            "is for a CPU. fsdp2 shards on CPUs, too."
        )


def sharing(case: Case, chosen: str) -> tuple[Reason, ...]:
    """Return why the processes share the work as they do; nothing for one of them."""
    devices = devices_of(case.facts)
    if devices == 1 or chosen in ("prompting", "nothing_fits"):
        return ()
    method: Method = chosen  # ty: ignore[invalid-assignment]
    plan = case.plan(method)
    profile = plan.hyperparameters.accelerate_config
    fixed = case.facts.training.accelerate_config != "auto"
    reason = Reason(
        rule="processes",
        question=table("questions")["memory"],
        answer=_figures(case, plan, devices),
        argues_for=f"accelerate_config: {profile}" + (", as the recipe says" if fixed else ""),
        outcome="decided",
        source="computed (methods.md 4.2)",
        why=f"{WHAT[profile]}. {_others(case, plan)}",
    )
    return (reason,)


def unshared(case: Case, method: Method) -> str:
    """Return why a method that does not fit was not sharded, if that is so; else an empty text."""
    if devices_of(case.facts) == 1 or case.facts.training.accelerate_config != "auto":
        return ""
    why = why_not("fsdp2", case.facts, method, case.rank.used)
    return "" if why is None else f" It was not sharded over them: {why}."


def _figures(case: Case, plan: Plan, devices: int) -> str:
    """Return `at least 110 GiB whole, 20.7 GiB sharded over 8, 79.2 GiB usable on each`."""
    whole = memory_under(case.facts, plan, "multi_gpu")
    shared = memory_under(case.facts, plan, "fsdp2").high_bytes
    usable = plan.memory.available_bytes
    least = "" if whole.fits else "at least "
    told = f"{least}{gib(whole.high_bytes)} whole, {gib(shared)} sharded over {devices}"
    return told if usable is None else f"{told}, {gib(usable)} usable on each"


def _others(case: Case, plan: Plan) -> str:
    """Return what speaks against the other profiles."""
    taken, on_cpu = plan.hyperparameters.accelerate_config, case.facts.hardware.kind == "cpu"
    if taken == "multi_gpu":
        other = why_not("fsdp2", case.facts, plan.method, case.rank.used)
        return f"Sharding is out: {other}." if other else "Sharding would only add traffic."
    told = "" if memory_under(case.facts, plan, "multi_gpu").fits else "Whole it does not fit. "
    if taken != "fsdp2" or on_cpu:
        return told.strip()
    least = memory_under(case.facts, plan, "zero2")
    half = f"zero2 takes {gib(least.high_bytes)}" + ("" if least.fits else ", too much")
    if why_not("zero3", case.facts, plan.method, case.rank.used):
        return f"{told}{half} (DeepSpeed)."
    return f"{told}zero3 shares the same; {half}; both need DeepSpeed."
