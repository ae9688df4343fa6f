"""What the publishing child is told: which weights, in which form, checked on which rows, to where.

Every path is absolute. `out` is the registry's hidden folder; nothing else is written to but
`checks_path`.
"""

from __future__ import annotations

from typing import Any, Literal

from tasks.contracts import Method, Record
from tasks.encoding import RowType
from tasks.recipe import DatasetSection, ModelSection, QuantizationSection

__all__ = ["AnswerSpec", "ExportSpec"]


class ExportSpec(Record):
    """One release to build; `base_name` and `base_revision` are what strangers load it by.

    `labels` are those of a classification head, in its order.
    """

    base_path: str
    base_name: str
    base_revision: str | None
    tuned_path: str
    kind: Literal["adapter", "merged", "model"]
    method: Method
    dtype: str
    model: ModelSection
    quantization: QuantizationSection
    dataset: DatasetSection
    row_type: RowType
    rows_path: str
    max_length: int
    verify_merge: bool
    out: str
    checks_path: str
    labels: tuple[str, ...] = ()

    @property
    def load_quantization(self) -> QuantizationSection | None:
        """How the frozen base was quantized in training, if it was."""
        return self.quantization if self.method == "qlora" else None


class AnswerSpec(Record):
    """One prompt for a release and its base; `about` is the release's release.json."""

    base_path: str
    release_path: str
    about: dict[str, Any]
    prompt: str
    max_new_tokens: int
