"""The interview of `finetune recommend --interactive`: every question that nobody answered.

An answer is read like its flag; a wrong one is told and asked again. Return takes the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rich.console import Console

from flows.recommend_facts import read_flags
from flows.recommend_flags import DEFAULTS, WORDS, Flags
from tasks.errors import RecipeError
from tasks.recipe_file import load_recipe

__all__ = ["QUESTIONS", "ask_what_is_missing"]

#: Flag -> question, in the order of the guide; a recipe answers those marked with a key.
QUESTIONS: dict[str, tuple[str, str]] = {
    "model": ("Which model (catalogue name, Hub id, folder)?", "model.model_name_or_path"),
    "budget": ("What may it cost, in dollars (empty: no limit)?", "budget.max_usd"),
    "gpu": ("Which card, and how many (4090, 2x4090, cpu; empty: this machine)?", "budget.gpu"),
    "tasks": ("How many tasks?", "requirements.tasks"),
    "accuracy": ("How accurate must it be (95%; empty: no requirement)?", "requirements.accuracy"),
    "deployment": ("Where does it run?", "requirements.deployment"),
    "continual": ("Does it keep learning?", "requirements.continual"),
    "complexity": ("How complex is the task?", "requirements.complexity"),
    "rows": ("How many training rows?", "dataset.path"),
    "seq_len": ("How many tokens has a row?", "dataset.path"),
}


def ask_what_is_missing(flags: Flags, console: Console, answer: Callable[[], str] = input) -> Flags:
    """Return the flags with every open question answered.

    Args:
        flags: What was said already.
        console: Where the questions go.
        answer: Reads one line.

    Raises:
        RecipeError: The recipe is wrong, or the answers end before the questions.
    """
    recipe = load_recipe(flags.recipe).recipe if flags.recipe else None
    said = recipe.model_dump(exclude_unset=True) if recipe else {}
    for name, (question, key) in QUESTIONS.items():
        section, _, word = key.partition(".")
        if getattr(flags, name) is None and word not in said.get(section, {}):
            flags = _ask(flags, name, question, console, answer)
    return flags


def _ask(
    flags: Flags, name: str, question: str, console: Console, answer: Callable[[], str]
) -> Flags:
    words = f" {', '.join(x.replace('_', '-') for x in WORDS[name])}" if name in WORDS else ""
    usual = f" [{DEFAULTS[name]}]" if name in DEFAULTS else ""
    while True:
        console.print(f"{question}{words}{usual}", end=" ", markup=False)
        try:
            text = answer().strip()
        except EOFError:
            raise RecipeError(
                f"--interactive: no answer to: {question} Say it as --{name.replace('_', '-')}."
            ) from None
        if not text and name != "model":
            return flags
        tried = replace(flags, **{name: text})
        problems = [x for x in read_flags(tried)[1] if x.startswith(f"--{name.replace('_', '-')}")]
        if text and not problems:
            return tried
        console.print(problems[0] if problems else "A model is needed.", markup=False)
