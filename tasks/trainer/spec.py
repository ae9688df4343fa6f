"""What the training child is told: everything it needs, and no path to a test row.

The stage (`tasks/training.py`) writes it as JSON, the child reads it.
"""

from __future__ import annotations

from pathlib import Path

from tasks.contracts import (
    General,
    Hyperparameters,
    MemoryEstimate,
    Method,
    Record,
    Recovery,
    RowType,
    Split,
    Splits,
)
from tasks.recipe import (
    DatasetSection,
    EwcSection,
    FreezeSection,
    LoraSection,
    ModelSection,
    QuantizationSection,
    TrainingSection,
)
from tasks.sections.sharding import SHARDED

__all__ = ["GENERAL", "TrainSpec", "as_planned", "beside", "recorded"]

#: Fields of Splits whose rows stand beside the data set.
GENERAL = ("replay", "reference")


class TrainSpec(Record):
    """One training run. `folder`, `base_path` and the splits' paths are absolute.

    `labels` are those of a classification head, in its order; without, a language model is trained.
    """

    folder: str
    base_name: str
    base_path: str
    base_revision: str | None
    base_sha256: str
    method: Method
    model: ModelSection
    freeze: FreezeSection | None = None
    ewc: EwcSection | None = None
    lora: LoraSection
    quantization: QuantizationSection
    dataset: DatasetSection
    training: TrainingSection
    hyperparameters: Hyperparameters
    memory: MemoryEstimate | None
    row_type: RowType
    max_length: int
    on_gpu: bool = False
    train: Split
    validation: Split
    recoveries: tuple[Recovery, ...] = ()
    replay: General | None = None
    reference: General | None = None
    labels: tuple[str, ...] = ()

    @property
    def trained(self) -> Split:
        """All that is trained, in numbers: the training split and what is replayed beside it."""
        if self.replay is None:
            return self.train
        more = self.replay.split
        sums = {
            k: getattr(self.train, k) + getattr(more, k) for k in ("rows", "tokens", "loss_tokens")
        }
        return self.train.model_copy(update=sums)

    @property
    def home(self) -> Path:
        """The stage's folder."""
        return Path(self.folder)

    @property
    def checkpoints(self) -> Path:
        """Where unfinished work lies; it survives a kill."""
        return self.home / "checkpoints"

    @property
    def sharded(self) -> bool:
        """Whether no process holds everything."""
        several = self.training.num_processes > 1
        return several and self.hyperparameters.accelerate_config in SHARDED

    @property
    def evaluates(self) -> bool:
        """Whether validation rows are looked at during training."""
        return self.training.eval_strategy != "no" and self.validation.rows > 0


def as_planned(training: TrainingSection, chosen: Hyperparameters) -> TrainingSection:
    """Return the recipe's section; where it is silent, as many processes as were planned with."""
    if "num_processes" in training.model_fields_set:
        return training
    return training.model_copy(update={"num_processes": chosen.num_processes})


def beside(splits: Splits, root: Path) -> dict[str, General | None]:
    """Return the general rows of a run, their paths absolute."""
    found: dict[str, General | None] = {}
    for name in GENERAL:
        rows: General | None = getattr(splits, name)
        if rows is not None:
            split = rows.split.model_copy(update={"path": str(root / rows.split.path)})
            rows = rows.model_copy(update={"split": split})
        found[name] = rows
    return found


def recorded(splits: Splits, root: Path) -> dict[Path, str]:
    """Return every file that training rests on, with the hash it was prepared with."""
    general = [rows for name in GENERAL if (rows := getattr(splits, name)) is not None]
    read = [splits.train, splits.validation, *(rows.split for rows in general)]
    sources = [*splits.sources, *(source for rows in general for source in rows.sources)]
    hashes = {root / split.path: split.sha256 for split in read}
    return hashes | {Path(source.path): source.sha256 for source in sources}
