"""Where a recipe's rows come from, and in which format: the sources of a mixture.

What a data set of one source says, stands in its own section (`tasks/recipe.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from tasks.sections.section import Section

__all__ = ["Format", "LabelNames", "SourceSection", "Sources"]

Format = Literal[
    "auto",
    "messages",
    "sharegpt",
    "alpaca",
    "prompt_completion",
    "text",
    "guanaco",
    "classification",
    "preference",
]


def _values_as_text(value: object) -> object:
    """Let a label's value be written as the number it is: {0: bad, 1: good}."""
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else value


LabelNames = Annotated[dict[str, str] | tuple[str, ...], BeforeValidator(_values_as_text)]


class SourceSection(Section):
    """One source of a mixture; what it leaves open is as the data section says."""

    path: str = Field(min_length=1)
    weight: float | None = Field(None, gt=0)
    format: Format | None = None
    columns: dict[str, str] | None = None
    label_names: LabelNames | None = None
    column_names: tuple[str, ...] | None = None
    name: str | None = None
    split: str | None = None
    revision: str | None = None

    def __repr__(self) -> str:
        """Its path, as messages show it."""
        return self.path


def _as_sources(value: object) -> object:
    """Let a source of a mixture be a path alone, and a mixture of one be no list."""
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("names no source")
        return tuple({"path": each} if isinstance(each, str) else each for each in value)
    return value


#: One source, or a mixture of them. The tags stand in error locations, see `tasks/recipe_file.py`.
Sources = Annotated[
    Annotated[str, Field(min_length=1), Tag("one-source")]
    | Annotated[tuple[SourceSection, ...], Tag("sources")],
    Discriminator(lambda value: "sources" if isinstance(value, tuple) else "one-source"),
    BeforeValidator(_as_sources),
]
