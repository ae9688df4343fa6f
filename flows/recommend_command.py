"""The command `finetune recommend`: flags and a recipe in, a recommendation out.

It answers at once: nothing of Prefect, torch or transformers is imported, and nothing is read but
the model's config.json and, of a recipe, the data file's lines. A model that is neither in the
catalogue nor on disk is the one thing that is asked of the Hub: its config.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from rich.console import Console

from flows.recommend_facts import Answered, facts_from_flags
from flows.recommend_flags import Flags
from flows.recommendation_page import recommendation_page
from tasks.contracts import Recommendation
from tasks.decision import decide
from tasks.errors import ExitCode, RecipeError

__all__ = ["Flags", "recommend_command", "recommend_from_flags", "show"]


def recommend_command(flags: Flags) -> None:
    """Choose full fine-tuning, LoRA or QLoRA, with reasons, memory, hours and dollars.

    Raises:
        RecipeError: Flags or the recipe are wrong; all flags in one message.
        ModelError: No such model, or a type whose memory cannot be estimated.
        DataError: The recipe's data file does not exist.
    """
    from flows.display import console

    if flags.list_gpus or flags.list_models:
        from flows.listings import gpu_table, model_table

        console.print(gpu_table() if flags.list_gpus else model_table())
        return
    if flags.as_json and flags.as_yaml:
        raise RecipeError("--json and --yaml: one answer at a time. Leave one out.")
    if flags.interactive:
        from flows.interview import ask_what_is_missing

        flags = ask_what_is_missing(flags, console)
    answered = facts_from_flags(flags)
    choice = decide(answered.facts)
    if flags.measure:
        from flows.measure import measured

        choice = measured(answered.facts, choice)
    show(choice, console, answered, flags)
    if choice.method == "nothing_fits" or (choice.memory and not choice.memory.fits):
        sys.exit(int(ExitCode.NOTHING_FITS))


def recommend_from_flags(flags: Flags) -> Recommendation:
    """Return the recommendation for the flags; the errors are those of `recommend_command`."""
    return decide(facts_from_flags(flags).facts)


def show(choice: Recommendation, console: Console, answered: Answered, flags: Flags) -> None:
    """Write the recommendation for people, as JSON, or as a fragment of a recipe."""
    facts = answered.facts
    if flags.as_json:
        from tasks.reports.recommendation_json import recommendation_json

        whole = recommendation_json(choice, answered.understood, answered.assumed)
        whole["measured_before"] = list(history(choice))
        console.file.write(json.dumps(whole, indent=2) + "\n")
    elif flags.as_yaml:
        from tasks.reports.recommendation_yaml import recommendation_yaml

        if facts.eight_bit:
            raise RecipeError("--yaml: an 8-bit base is estimated, not trained. Write nf4.")
        console.file.write(recommendation_yaml(choice, facts.training, facts.quantization))
    else:
        subject = f"{facts.architecture.name} on {facts.hardware.title}"
        heard = {"understood": answered.understood, "assumed": answered.assumed}
        heard["measured before"] = history(choice)
        for part in recommendation_page(choice, subject, heard, console.width):
            console.print(part)


def history(choice: Recommendation) -> tuple[str, ...]:
    """Return how earlier runs of this method on this device came out; the figures stay as they are.

    The ledger says what they took; a few runs of other data and lengths are no calibration.
    """
    ledger = Path(os.environ.get("FINETUNE_RUNS", "runs")) / "ledger.jsonl"
    if not ledger.is_file():
        return ()
    from tasks.ledger import measured_before

    found = measured_before(ledger, choice.device, choice.method)
    if found is None:
        return ()
    low, high = found.seconds
    told = f"{found.runs} run(s) took {low:.2g} to {high:.2g} times the middle of the time estimate"
    if found.memory is None:
        return (told,)
    low, high = found.memory
    return (told, f"their peak memory was {low:.2g} to {high:.2g} times the upper estimate")
