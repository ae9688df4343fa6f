"""What the scoring child is told: which two models, which rows, how to encode them, where to write.

Every path is absolute; the stage writes the spec, the child reads it.
"""

from __future__ import annotations

from tasks.contracts import LabelCount, Method, Record
from tasks.encoding import RowType
from tasks.recipe import DatasetSection, EvaluationSection, ModelSection, QuantizationSection

__all__ = ["ScoreSpec"]


class ScoreSpec(Record):
    """One comparison; `dtype` is what the tuned model was trained in.

    `labels` are those of a classification head, with their training rows.
    """

    base_path: str
    tuned_path: str
    kind: str
    method: Method
    dtype: str
    model: ModelSection
    quantization: QuantizationSection
    dataset: DatasetSection
    evaluation: EvaluationSection
    row_type: RowType
    test_path: str
    test_sha256: str
    max_length: int
    longest_answer_tokens: int
    samples_path: str
    labels: tuple[LabelCount, ...] = ()
