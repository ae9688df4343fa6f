"""Records that stages hand to each other: frozen, small, JSON-able.

Data sets and weights cross a stage border as paths. Every path in a record is relative to the run
folder unless its name says otherwise, so that a run folder can be moved. Units are in the names.
"""

from __future__ import annotations

from typing import Any, Literal

from tasks.recommendation_records import Advice as Advice
from tasks.recommendation_records import Alternative as Alternative
from tasks.recommendation_records import CostEstimate as CostEstimate
from tasks.recommendation_records import Hyperparameters as Hyperparameters
from tasks.recommendation_records import MemoryEstimate as MemoryEstimate
from tasks.recommendation_records import Method, Recommendation
from tasks.recommendation_records import Option as Option
from tasks.recommendation_records import Reason as Reason
from tasks.recommendation_records import StageCost as StageCost
from tasks.recommendation_records import Variant as Variant
from tasks.record import Record
from tasks.report_records import DataCheck as DataCheck
from tasks.report_records import DataReport
from tasks.report_records import Review as Review

#: What a canonical row is, see `Splits`.
RowType = Literal["messages", "prompt_completion", "text", "labelled"]


class Linear(Record):
    """A linear layer W (out, in) of the base model; `count` alike ones stand in the model."""

    name: str
    in_features: int
    out_features: int
    count: int = 1


class Source(Record):
    """A file that was read: absolute path, SHA-256 and how many rows it holds."""

    path: str
    sha256: str
    rows: int


class Split(Record):
    """One of train, validation, test: a JSONL file of canonical rows.

    `near_duplicates` of the rows have almost the wording of another one of them.
    """

    path: str
    rows: int
    sha256: str
    tokens: int
    loss_tokens: int
    near_duplicates: int = 0


class General(Record):
    """Rows from beside the data set that must not be forgotten: replayed, or EWC's reference.

    `available_rows` of the source are good examples that stand in no split that judges;
    `left_out` counts the others by reason.
    """

    split: Split
    row_type: RowType
    sources: tuple[Source, ...]
    available_rows: int
    left_out: dict[str, int]


class LabelCount(Record):
    """A label of a classification head, and how many training rows have it."""

    name: str
    rows: int


class Splits(Record):
    """A prepared data set.

    `row_type` is the canonical shape in the files: `messages` ({"messages": [...]}),
    `prompt_completion` ({"prompt": str, "completion": str}), `text` ({"text": str}), or `labelled`:
    a text and its label under the names of a prompt and its completion, for a classification head.
    `checkable` says whether answers are short or structured enough for exact match. `labels` are
    those of a classification head, in its order, with the training rows of each.
    """

    format: str
    format_reason: str
    row_type: RowType
    sources: tuple[Source, ...]
    rows_in: int
    train: Split
    validation: Split
    test: Split
    rejected: dict[str, int]
    rejected_path: str
    profile_path: str
    max_length: int
    max_length_reason: str
    longest_answer_tokens: int
    token_percentiles: dict[str, int]
    checkable: bool
    template: str
    template_sha256: str
    replay: General | None = None
    reference: General | None = None
    labels: tuple[LabelCount, ...] = ()


class Rejected(Record):
    """A row that does not go on: where it stood and every reason."""

    source: str
    line: int
    reasons: tuple[str, ...]


class Recovery(Record):
    """What was changed after memory ran out, so that the run could go on.

    `settings` are keys of the recipe with their new values; `sentence` says it in words. `restarts`:
    no checkpoint from before is valid under them.
    """

    cause: str
    settings: dict[str, str | int | bool]
    sentence: str
    restarts: bool


class Checkpoint(Record):
    """A trained adapter or model; `base_path` is absolute, the folder the base was read from.

    `curves` says what the loss curves show, and what to change.
    """

    kind: Literal["adapter", "model"]
    method: Method
    path: str
    base_path: str
    base_sha256: str
    train_loss: float
    validation_loss: float | None
    best_step: int | None
    steps: int
    resumed_from_step: int | None
    trainable_parameters: int
    parameters: int
    tokens_per_second: float
    wall_seconds: float
    peak_memory_bytes: int
    device: str
    dtype: str
    seed: int
    versions: dict[str, str]
    history_path: str
    recoveries: tuple[Recovery, ...] = ()
    curves: tuple[str, ...] = ()


class Measure(Record):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class MetricRow(Record):
    """One metric for base and tuned model on the same rows, and their paired difference."""

    name: str
    unit: str
    higher_is_better: bool
    rows: int
    base: Measure
    tuned: Measure
    difference: Measure
    interval: str


class Gate(Record):
    """A metric with a limit. `undecided`: the point reaches it, the interval does not yet."""

    name: str
    verdict: Literal["met", "undecided", "missed", "not_applicable"]
    requirement: str
    observed: str
    rows_needed: int | None
    sentence: str


class LabelScore(Record):
    """One label of a classifier on the test rows: how often it is right, and how often found.

    `precision` is None where the label was never given, `recall` where no row has it.
    """

    name: str
    rows: int
    given: int
    right: int
    precision: float | None
    recall: float | None
    f1: float


class Scorecard(Record):
    """Base against tuned on the test rows, scored once for this candidate.

    `labels` are those of a classifier, as the tuned model gives them; `base` says what a base is
    that has no answers of its own.
    """

    test_rows: int
    test_sha256: str
    test_uses: int
    primary: str
    metrics: tuple[MetricRow, ...]
    gates: tuple[Gate, ...]
    passed: bool
    samples_path: str
    wall_seconds: float
    base: str = ""
    labels: tuple[LabelScore, ...] = ()


class Evidence(Record):
    """All that is known about a candidate when it is published."""

    splits: Splits
    report: DataReport
    recommendation: Recommendation
    checkpoint: Checkpoint
    scorecard: Scorecard


class Release(Record):
    """What was published and where; `path` is absolute."""

    name: str
    version: int
    kind: Literal["adapter", "merged", "model"]
    path: str
    card_path: str
    sha256: str
    replaced: str | None
    checks: dict[str, Any]
