"""One row as numbers: where it stood, what speaks against it, and how many tokens it has.

A million of these fit in memory where a million texts do not; texts are read again to be written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tasks.signals.row import Signals

__all__ = ["REASONS", "STRUCTURE", "DataFile", "RowProfile", "SplitName"]

#: What makes a row no example at all.
STRUCTURE = (
    *("not_json", "not_csv", "undecodable", "not_an_object", "wrong_number_of_fields"),
    *("oversized", "too_deep", "duplicate_key"),
    *("missing_column", "wrong_type", "wrong_roles", "bad_tool_call", "bad_tools"),
    *("unknown_label", "empty_prompt", "template_refused"),
)

#: Every word for a rejection; a row is counted under the first one that is true of it.
REASONS = (
    *STRUCTURE,
    *("empty_answer", "same_answers", "no_loss_tokens", "overlength", "private_data"),
    *("duplicate", "leaks_into_test", "leaks_into_validation"),
)

#: Of a row that could not be read.
NO_SIGNALS = Signals()

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class DataFile:
    """A file the recipe names; `split` is where its rows go, None: by the hash of their prompt.

    `limit` is how many of its rows are used (None: all); `source` is its name in records;
    `column_names` are those of a file without a header.
    """

    key: str
    path: Path
    source: str
    split: SplitName | None
    limit: int | None = None
    column_names: tuple[str, ...] = ()


@dataclass(slots=True)
class RowProfile:
    """One input row. Tokens are those of the whole row, before any cut; 0 where it has none.

    `prompt` and `answer` are keys of `tasks/profile/keys.py`, empty for a broken row.
    """

    file: DataFile
    line: int
    reasons: list[str] = field(default_factory=list)
    split: SplitName | None = None
    prompt: bytes = b""
    answer: bytes = b""
    tokens: int = 0
    prompt_tokens: int = 0
    loss_tokens: int = 0
    answer_tokens: int = 0
    truncated_tokens: int = 0
    prompt_chars: int = 0
    answer_chars: int = 0
    bos_count: int = 0
    ends: bool = False
    checkable: bool = False
    conflict: bool = False
    signals: Signals = NO_SIGNALS

    @property
    def kept(self) -> bool:
        """Whether the row is an example of a split."""
        return not self.reasons

    @property
    def first_reason(self) -> str:
        """The reason a rejected row is counted under."""
        return min(self.reasons, key=REASONS.index)
