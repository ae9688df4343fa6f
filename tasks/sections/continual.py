"""`freeze`: what of the base model stays as it is while the rest learns."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from tasks.sections.section import Section

__all__ = ["FULL_ONLY", "FreezeSection"]

#: Sections that only `method: full` reads, and why.
FULL_ONLY = {
    "freeze": "an adapter's base is frozen already; choose its layers by lora.target_modules",
}


class FreezeSection(Section):
    """Which weights `method: full` leaves alone. Patterns are regular expressions, as in axolotl.

    Either what is frozen is named (`layers`, `embeddings`, `patterns`), or what is trained
    (`trainable_layers`, `unfrozen_parameters`).
    """

    layers: int | None = Field(None, ge=1, description="The first decoder layers are frozen.")
    embeddings: bool = Field(
        False,
        description="The word and position embeddings are frozen, and a head tied to them. With "
        "`layers` no gradient goes through frozen layers: they cost no memory and half the time.",
    )
    patterns: tuple[str, ...] = Field(
        (), description="Frozen: parameters in whose name one of these is found."
    )
    trainable_layers: int | None = Field(
        None, ge=1, description="Only the last decoder layers are trained (LLaMA-Factory)."
    )
    unfrozen_parameters: tuple[str, ...] = Field(
        (), description="Only parameters in whose name one of these is found are trained (axolotl)."
    )

    @field_validator("patterns", "unfrozen_parameters")
    @classmethod
    def _regular_expressions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> FreezeSection:
        frozen = self.layers is not None or self.embeddings or bool(self.patterns)
        if frozen and self.names_trained:
            raise ValueError(
                "layers, embeddings and patterns say what is frozen, trainable_layers and "
                "unfrozen_parameters what is trained: use one kind"
            )
        if not frozen and not self.names_trained:
            raise ValueError("freezes nothing: set layers, embeddings or patterns, or leave it out")
        return self

    @property
    def names_trained(self) -> bool:
        """Whether it says what is trained, so that all the rest is frozen."""
        return self.trainable_layers is not None or bool(self.unfrozen_parameters)

    @property
    def needs_names(self) -> bool:
        """Whether what it freezes follows from the names of the parameters alone."""
        return bool(self.patterns or self.unfrozen_parameters)
