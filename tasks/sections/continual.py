"""`freeze`, `ewc`, `replay`: what keeps a model from forgetting what it could before."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from tasks.sections.section import Section

__all__ = ["FULL_ONLY", "EwcSection", "FreezeSection", "ReplaySection"]

#: Sections that only `method: full` reads, and why.
FULL_ONLY = {
    "freeze": "an adapter's base is frozen already; choose its layers by lora.target_modules",
    "ewc": "an adapter leaves the base's weights alone, and at its start (B = 0) the Fisher "
    "information of A is zero, so it would hold nothing; use replay",
}


#: Heuristic. At 1 the reference's loss, as the Fisher predicts it, weighs as much as the training
#: loss; but a diagonal taken near an optimum predicts too little of it. In a trial with a tiny model
#: 100 halved what was forgotten (`tests/tasks/trainer/test_forgetting.py`).
DEFAULT_EWC_WEIGHT = 100.0


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


class EwcSection(Section):
    """Elastic weight consolidation (arXiv 1612.00796): weights that mattered are held back."""

    weight: float = Field(
        DEFAULT_EWC_WEIGHT,
        gt=0,
        description="Lambda: raise it while too much is forgotten, lower it while too little is "
        "learned; at 1 the reference weighs as much as the training data, as the Fisher sees it.",
    )
    reference: str | None = Field(
        None, description="Rows of what must be kept. None: the small general set shipped here."
    )
    samples: int = Field(200, ge=1, description="Rows of it that the Fisher is estimated on.")


class ReplaySection(Section):
    """Rows of a general or earlier set that are trained along, so that it is not forgotten."""

    path: str | None = Field(
        None, description="Rows of what must be kept. None: the small general set shipped here."
    )
    fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of all trained rows that are replayed; 0.01 to 0.05 were enough for "
        "large models (arXiv 2205.12393, 2403.08763).",
    )

    def rows_beside(self, rows: int) -> int:
        """Return how many rows are replayed beside these: 0.1 beside 90 are 10."""
        return max(1, round(rows * self.fraction / (1 - self.fraction)))
