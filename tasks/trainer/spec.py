"""What the training child is told: everything it needs, and no path to a test row.

The stage (`tasks/training.py`) writes it as JSON, the child reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tasks.contracts import Hyperparameters, MemoryEstimate, Method, Record, Split
from tasks.recipe import (
    DatasetSection,
    FreezeSection,
    LoraSection,
    ModelSection,
    QuantizationSection,
    TrainingSection,
)

__all__ = ["TrainSpec"]


class TrainSpec(Record):
    """One training run. `folder`, `base_path` and the splits' paths are absolute."""

    folder: str
    base_name: str
    base_path: str
    base_revision: str | None
    base_sha256: str
    method: Method
    model: ModelSection
    freeze: FreezeSection | None = None
    lora: LoraSection
    quantization: QuantizationSection
    dataset: DatasetSection
    training: TrainingSection
    hyperparameters: Hyperparameters
    memory: MemoryEstimate | None
    row_type: Literal["messages", "prompt_completion", "text"]
    max_length: int
    train: Split
    validation: Split

    @property
    def home(self) -> Path:
        """The stage's folder."""
        return Path(self.folder)

    @property
    def checkpoints(self) -> Path:
        """Where unfinished work lies; it survives a kill."""
        return self.home / "checkpoints"

    @property
    def evaluates(self) -> bool:
        """Whether validation rows are looked at during training."""
        return self.training.eval_strategy != "no" and self.validation.rows > 0
