"""The recipe: what a user decides about a run, as strict and frozen sections.

Key names are those of Transformers, TRL and PEFT; words of other tools are accepted as reported
aliases (`tasks/assets/aliases.yaml`). An unknown key is an error. Defaults that `None` stands for
are chosen by `recommend`. Reading a file (lines, overrides, suggestions) is in
`tasks/recipe_file.py`.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tasks.sections.adapter import LoraSection, QuantizationSection
from tasks.sections.continual import FULL_ONLY, EwcSection, FreezeSection, ReplaySection
from tasks.sections.section import Fraction, Section, Share
from tasks.sections.sharding import why_not_sharded
from tasks.sections.sources import Format, LabelNames, Sources
from tasks.sections.task_type import TaskType, refuse_for_the_task
from tasks.sections.training import TrainingSection
from tasks.sections.validation import ValidationSection

__all__ = [
    "PLANNED_SECTIONS",
    "EwcSection",
    "Fraction",
    "FreezeSection",
    "LoraSection",
    "QuantizationSection",
    "Recipe",
    "ReplaySection",
    "Section",
    "TrainingSection",
    "ValidationSection",
]

NAME_PATTERN = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,63}$")

#: Sections that are part of the recipe language but that no stage reads yet: refused, not ignored.
PLANNED_SECTIONS = {
    "retrain": "scheduled retraining",
}

#: Combinations that no library of the stack can train, and why.
IMPOSSIBLE = {
    ("qlora", "pissa"): "a 4-bit weight cannot be split into singular directions (PEFT 0.21)",
}


class ModelSection(Section):
    """The base model."""

    model_name_or_path: str = Field(
        min_length=1, description="A folder with a checkpoint, or a Hugging Face Hub model id."
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a Hub model; pin it.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Precision of frozen weights. auto: float32 on a CPU, bfloat16 on a GPU that "
        "has it, else float16. TRL's own default, float32, doubles the weights on a GPU.",
    )
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    trust_remote_code: bool = Field(
        False, description="Run Python code shipped with the model. Off unless you trust it."
    )


class DatasetSection(Section):
    """The data set, its row shape, its splits, and what is learned from a row."""

    path: Sources = Field(
        description="JSONL, JSON, CSV, TSV, Parquet or text (.gz, .zst too), a folder of such, a "
        "saved data set, or a Hub id; or a list of {path, weight, format, ...}: a mixture. weight: "
        "share of the mixture (TRL's fraction); the largest without repeating a row is drawn.",
    )
    name: str | None = Field(None, description="Configuration (subset) of a Hub data set.")
    revision: str | None = Field(None, description="Branch, tag or commit on the Hub; pin it.")
    split: str | None = Field(None, description="Trained split of several. None: train.")
    validation_split: str | None = None
    test_split: str | None = None
    column_names: tuple[str, ...] = Field(
        (), description="Columns of a CSV or TSV file that has no header."
    )
    validation_path: str | None = Field(None, description="Own validation file; else split off.")
    test_path: str | None = Field(None, description="Own test file; else split off.")
    format: Format = "auto"
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="The format's column name -> the file's, dots for nesting.",
    )
    label_names: LabelNames = Field(
        (), description="Names of numeric labels: a list from 0 on, or {value: name}."
    )
    chat_template: str = Field("auto", description="auto: the tokenizer's; else a Jinja file.")
    max_length: int | None = Field(
        None,
        ge=8,
        description="Tokens of a row. None: from the data, within the model's positions.",
    )
    on_invalid: Literal["raise", "quarantine"] = Field(
        "quarantine", description="Rows that are no examples: stop, or go on without them."
    )
    on_overlength: Literal["raise", "drop", "truncate"] = "drop"
    on_pii: Literal["raise", "drop", "redact", "warn"] = Field(
        "warn",
        description="Private data and keys. redact: [EMAIL], [PHONE] ... stand in their place.",
    )
    on_special_tokens: Literal["raise", "drop", "remove", "warn"] = Field(
        "warn", description="Control tokens of the tokenizer written in a text. remove: cut out."
    )
    on_duplicate: Literal["raise", "drop", "keep"] = Field(
        "drop", description="Rows with the content of another."
    )
    on_near_duplicate: Literal["raise", "drop", "keep"] = Field(
        "keep", description="Rows with almost the wording of another and the same answer."
    )
    on_conflict: Literal["raise", "drop", "keep"] = Field(
        "keep", description="Rows of one prompt with different answers; drop: all of them."
    )
    on_leakage: Literal["raise", "drop", "keep"] = Field(
        "drop", description="Rows that also stand in a split that judges them, or almost do."
    )
    completion_only_loss: bool = Field(True, description="Learn answers, not prompts.")
    assistant_only_loss: bool = Field(True, description="Learn assistant turns, not the others.")
    packing: bool = Field(False, description="Several rows a sequence (TRL's bfd, exact on sdpa).")
    validation_size: Share = Field(0.1, description="Share of the rows, by content hash.")
    test_size: Share = Field(0.1, description="Share of the rows, by content hash.")
    max_rows: int | None = Field(
        None, ge=1, description="Use the first rows of each file only, for a trial."
    )

    def sections(self) -> tuple[DatasetSection, ...]:
        """Return the section of each source: this one, with what the source says itself."""
        if isinstance(self.path, str):
            return (self,)
        said = [each.model_dump(exclude_none=True, exclude={"weight"}) for each in self.path]
        return tuple(self.model_copy(update=each) for each in said)


class RequirementsSection(Section):
    """What the result has to be: the answers to the decision tree's questions."""

    accuracy: Fraction | None = Field(None, description="A fraction: 0.95 for 95 %.")
    metric: Literal["exact_match", "token_accuracy", "accuracy", "macro_f1"] | None = Field(
        None,
        description="What accuracy is measured by. None: exact match for checkable answers; of "
        "SEQ_CLS, whose labels also have macro_f1, accuracy.",
    )
    tasks: int = Field(1, ge=1, description="How many tasks; each gets its own adapter.")
    deployment: Literal["cloud", "edge"] = "cloud"
    continual: Literal["none", "sequential", "forgetting"] = "none"
    complexity: Literal["simple", "medium", "complex", "very_complex", "near_full"] = "medium"
    critical: bool = False
    domain_shift: Literal["none", "some", "very_different"] = "none"
    rapid: Literal["no", "updates", "ab_testing"] = "no"

    @field_validator("accuracy", mode="before")
    @classmethod
    def _a_fraction(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:
            raise ValueError(f"is a fraction: write {value / 100:g}")
        return value

    @field_validator("rapid", mode="before")
    @classmethod
    def _yaml_reads_no_as_false(cls, value: object) -> object:
        return (
            {False: "no", True: "updates"}.get(value, value) if isinstance(value, bool) else value
        )


class BudgetSection(Section):
    """What may be spent, and on which hardware."""

    max_usd: float | None = Field(None, gt=0)
    max_hours: float | None = Field(None, gt=0)
    gpu: str | None = Field(
        None, description="A card of the catalogue, or cpu. None: this machine."
    )
    gpu_count: int = Field(1, ge=1)
    vram_gb: float | None = Field(None, gt=0, description="GiB, for a card not in the catalogue.")
    usd_per_gpu_hour: float | None = Field(None, ge=0)
    owned: bool = Field(False, description="The cards are yours: electricity and wear, no rent.")
    storage_gb: float | None = Field(
        None, gt=0, description="Room for what is published, all tasks together, in GB (1e9 bytes)."
    )


class EvaluationSection(Section):
    """How base and tuned model are compared on the test rows."""

    max_rows: int | None = Field(None, ge=1, description="Score the first test rows only.")
    max_new_tokens: int | None = Field(None, ge=1, description="None: the longest answer + 8.")
    batch_size: int = Field(64, ge=1)
    bootstrap_samples: int = Field(2000, ge=1000)
    publish_undecided: bool = Field(
        False, description="Publish although the interval still contains the requirement."
    )


class PublishSection(Section):
    """Where the result goes and in which form."""

    kind: Literal["adapter", "merged"] = Field(
        "adapter", description="For LoRA and QLoRA; a full fine-tune is always a whole model."
    )
    registry: str = "registry"
    verify_merge: bool = True
    license: str | None = Field(None, description="For the model card, an SPDX id.")


class Recipe(Section):
    """A whole run. Sections left out take their defaults."""

    name: str
    model: ModelSection
    task_type: TaskType = Field(
        "CAUSAL_LM",
        description="CAUSAL_LM writes answers; SEQ_CLS gives a text one label, by a head.",
    )
    method: Literal["auto", "full", "lora", "qlora"] = "auto"
    rules: Literal["evidence", "guide"] = Field(
        "evidence", description="Profile of the decision rules; guide: the guide to the letter."
    )
    freeze: FreezeSection | None = Field(None, description="None: nothing is frozen.")
    ewc: EwcSection | None = Field(None, description="None: no weight is held back.")
    replay: ReplaySection | None = Field(None, description="None: only dataset's rows are trained.")
    lora: LoraSection = LoraSection()
    quantization: QuantizationSection = QuantizationSection()
    dataset: DatasetSection
    validation: ValidationSection = ValidationSection()
    training: TrainingSection = TrainingSection()
    requirements: RequirementsSection = RequirementsSection()
    budget: BudgetSection = BudgetSection()
    evaluation: EvaluationSection = EvaluationSection()
    publish: PublishSection = PublishSection()

    @model_validator(mode="after")
    def _can_be_trained(self) -> Recipe:
        for section, reason in FULL_ONLY.items():
            if getattr(self, section) is not None and self.method != "full":
                raise ValueError(f"{section}: needs method: full, not {self.method}: {reason}")
        if why := self._why_not_sharded():
            raise ValueError(why)
        variant = self.lora.variant
        if why := IMPOSSIBLE.get((self.method, variant or "")):
            raise ValueError(f"method: {self.method} with lora.variant: {variant}: {why}")
        if variant == "adalora" and self.dataset.packing:
            raise ValueError(
                "lora.variant: adalora with dataset.packing: ranks fall by a count of steps, which "
                "packing changes. Leave one of them out"
            )
        refuse_for_the_task(self)
        return self

    def _why_not_sharded(self) -> str | None:
        """Return what is wrong with the profile; where something is left open, `decide` asks."""
        profile = self.training.accelerate_config
        if profile == "auto" or self.method == "auto":
            return None
        return why_not_sharded(
            profile,
            self.method,
            self.lora.variant,
            ewc=self.ewc is not None,
            labels=self.task_type != "CAUSAL_LM",
            optim=self.training.optim,
            storage=self.quantization.handed_on().get("bnb_4bit_quant_storage"),
            dtype=None if self.model.dtype == "auto" else self.model.dtype,
        )

    @field_validator("name")
    @classmethod
    def _a_safe_name(cls, value: str) -> str:
        if not NAME_PATTERN.match(value) or ".." in value:
            raise ValueError(
                "becomes a folder: use 1 to 64 of a-z 0-9 _ . - and begin with a letter or digit"
            )
        return value
