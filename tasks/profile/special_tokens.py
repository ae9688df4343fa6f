"""Control tokens written in a row's text: they are tokenized as the real ones.

A tokenizer knows its special tokens (`<|im_end|>`, `</s>`) by their text, wherever it stands: an
answer that quotes one ends there, and a hostile row can open a turn of its own. Which texts these
are, only the tokenizer says; `tasks/signals/leftovers.py` knows the marks of other models. What
ends a raw text or a completion is meant and not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from tasks.errors import DataError
from tasks.profile.rows import Table
from tasks.recipe import DatasetSection
from tasks.signals.texts import rewritten, texts_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SpecialTokens", "check_special"]

Row = dict[str, Any]
NAMED_ROWS = 10


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a tokenizer as one pattern; None if it has none to be written."""

    pattern: re.Pattern[str] | None
    end: str

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
        """Return those of a tokenizer; none where it splits them like any other text."""
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        texts = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
        texts = {text for text in texts if len(text.strip()) > 1}
        if not texts or getattr(tokenizer, "split_special_tokens", False):
            return cls(None, "")
        longest_first = sorted(texts, key=lambda text: (-len(text), text))
        pattern = re.compile("|".join(map(re.escape, longest_first)))
        return cls(pattern, str(tokenizer.eos_token or ""))

    def count(self, row: Row) -> int:
        """Return how many stand in the texts of a canonical row, but for the one that ends it."""
        if self.pattern is None:
            return 0
        whole = texts_of(row).whole
        found = len(self.pattern.findall(whole))
        ends = found and "messages" not in row and self.end and whole.rstrip().endswith(self.end)
        return found - bool(ends)

    def without(self, row: Row) -> Row:
        """Return the row with none of them in any text."""
        return rewritten(row, self._removed)

    def _removed(self, text: str) -> str:
        """Remove them until none is left: `<|im_<|im_end|>end|>` holds one inside another."""
        assert self.pattern is not None
        found = 1
        while found:
            text, found = self.pattern.subn("", text)
        return text


def check_special(table: Table, dataset: DatasetSection) -> None:
    """Refuse a data set with control tokens in its texts under `on_special_tokens: raise`.

    Raises:
        DataError: A row has one; the message names the lines.
    """
    if dataset.on_special_tokens != "raise":
        return
    having = numpy.flatnonzero(table.rows["special_tokens"])
    if len(having):
        shown = ", ".join(table.place(row) for row in having[:NAMED_ROWS].tolist())
        more = f" and {len(having) - NAMED_ROWS:,} more" if len(having) > NAMED_ROWS else ""
        raise DataError(
            f"dataset.on_special_tokens = raise: {len(having):,} rows hold control tokens of the "
            f"tokenizer as text: {shown}{more}. Mend them, or set remove, drop or warn."
        )
