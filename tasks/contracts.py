"""Records that stages hand to each other: frozen, small, JSON-able.

Data sets and weights cross a stage border as paths. Every path in a record is relative to the run
folder unless its name says otherwise, so that a run folder can be moved. Units are in the names.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["critical", "warning", "info"]
Method = Literal["full", "lora", "qlora"]
Variant = Literal["lora", "rslora", "dora", "lora_plus", "lora_fa", "adalora", "pissa"]


class Record(BaseModel):
    """A frozen value with no room for unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), defer_build=True
    )


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
    """One of train, validation, test: a JSONL file of canonical rows."""

    path: str
    rows: int
    sha256: str
    tokens: int
    loss_tokens: int


class Splits(Record):
    """A prepared data set.

    `row_type` is the canonical shape in the files: `messages` ({"messages": [...]}),
    `prompt_completion` ({"prompt": str, "completion": str}) or `text` ({"text": str}).
    `checkable` says whether answers are short or structured enough for exact match.
    """

    format: str
    format_reason: str
    row_type: Literal["messages", "prompt_completion", "text"]
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


class Rejected(Record):
    """A row that does not go on: where it stood and every reason."""

    source: str
    line: int
    reasons: tuple[str, ...]


class DataCheck(Record):
    """One expectation and what it saw; `rows` are up to 1,000 source lines, 1-based.

    `prevents` is the failure in the field that the check is there for.
    """

    id: str
    severity: Severity
    passed: bool
    observed: float | None
    threshold: float | None
    unexpected_count: int
    rows: tuple[int, ...]
    sentence: str
    prevents: str = ""


class DataReport(Record):
    """The verdict of the data gate, and the page that people review."""

    verdict: Literal["pass", "warn", "fail"]
    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    splits: dict[str, int]
    checks: tuple[DataCheck, ...]
    token_percentiles: dict[str, int]
    loss_token_fraction: float
    report_path: str


class MemoryEstimate(Record):
    """Peak training memory of one device, part by part; low and high bound the device figure."""

    weights_bytes: int
    adapter_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    logits_bytes: int
    overhead_bytes: int
    low_bytes: int
    high_bytes: int
    available_bytes: int | None
    fits: bool


class CostEstimate(Record):
    """Tokens, time and money as ranges; `usd_*` is None where no price is known."""

    train_tokens: int
    steps: int
    low_seconds: float
    high_seconds: float
    low_usd: float | None
    high_usd: float | None
    price_source: str


class Reason(Record):
    """One rule that spoke: the question, the user's answer, and what it argued for."""

    rule: str
    question: str
    answer: str
    argues_for: str
    outcome: Literal["decided", "agreed", "overruled"]
    source: str
    why: str = ""
    overruled_by: str | None = None


class Hyperparameters(Record):
    """Everything the trainer needs that the recipe may leave open, resolved."""

    r: int | None
    lora_alpha: int | None
    variant: Variant | None
    effective_scale: float | None
    target_modules: str | tuple[str, ...] | None
    learning_rate: float
    num_train_epochs: float
    max_steps: int
    per_device_train_batch_size: int
    gradient_accumulation_steps: int
    gradient_checkpointing: bool
    dtype: Literal["float32", "bfloat16", "float16"]
    steps: int
    trainable_parameters: int
    parameters: int


class Option(Record):
    """One column of the comparison: what a method would take, computed for this very case.

    `storage_bytes` is what one task leaves (an adapter, or a whole model); `storage_all_bytes` all
    tasks together with the base that adapters need. The texts are evidence, each with its source.
    """

    method: Method
    r: int | None
    role: Literal["chosen", "runner-up", "rejected"]
    trainable_parameters: int
    memory: MemoryEstimate
    cost: CostEstimate
    storage_bytes: int
    storage_all_bytes: int
    forgetting: str
    quality: str


class Advice(Record):
    """A setting of the recipe that differs from what the rules would choose, and why."""

    key: str
    yours: str
    advised: str
    because: str


class Alternative(Record):
    """A method that was not chosen, and why."""

    method: Method
    r: int | None
    why_not: str
    memory: MemoryEstimate | None
    cost: CostEstimate | None


class Recommendation(Record):
    """The method and its settings, with every reason, and what would change the answer."""

    method: Method | Literal["prompting", "nothing_fits"]
    adapters: int
    hyperparameters: Hyperparameters | None
    memory: MemoryEstimate | None
    cost: CostEstimate | None
    reasons: tuple[Reason, ...]
    runner_up: Alternative | None
    alternatives: tuple[Alternative, ...]
    conflict: str | None
    warnings: tuple[str, ...]
    would_change: tuple[str, ...]
    device: str
    rules: str
    asked_for: str
    #: Ids of the rules that forbid full fine-tuning here.
    blocked: tuple[str, ...] = ()
    comparison: tuple[Option, ...] = ()
    advice: tuple[Advice, ...] = ()


class Checkpoint(Record):
    """A trained adapter or model; `base_path` is absolute, the folder the base was read from."""

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


class Scorecard(Record):
    """Base against tuned on the test rows, scored once for this candidate."""

    test_rows: int
    test_sha256: str
    test_uses: int
    primary: str
    metrics: tuple[MetricRow, ...]
    gates: tuple[Gate, ...]
    passed: bool
    samples_path: str
    wall_seconds: float


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
