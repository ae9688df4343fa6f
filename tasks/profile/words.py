"""The words of a row as numbers: what near-duplicates and overlaps are found by.

A word is a run of letters and digits in lower case; scripts that are written without spaces (Thai,
Lao, Khmer, Chinese, Japanese, Korean) count character by character. System messages are left out:
they are the same in every row and would make short rows alike.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy

from tasks.encoding import turn_text

__all__ = ["NUMERAL", "compared_text", "word_hashes"]

#: Scripts without spaces between words: Thai, Lao, Khmer, kana, Han, Hangul.
UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
WORD = re.compile(f"[{UNSPACED}]|[^\\W{UNSPACED}]+")

#: The lowest bit of a word's number says that the word is digits only: a value, not a wording.
NUMERAL = 1

#: Words that are remembered with their numbers; beyond, the memory is emptied.
REMEMBERED_WORDS = 1_000_000

Row = dict[str, Any]


class _Numbers(dict[str, int]):
    """A word's number, computed when it is first seen: CRC-32, its lowest bit as above."""

    def __missing__(self, word: str) -> int:
        if len(self) > REMEMBERED_WORDS:
            self.clear()
        bit = NUMERAL if word.isdecimal() else 0
        number = self[word] = zlib.crc32(word.encode("utf-8", "surrogatepass")) & ~1 | bit
        return number


_numbers = _Numbers()


def word_hashes(text: str) -> numpy.ndarray:
    """Return one 32-bit number a word, the same in every process."""
    found = WORD.findall(text.lower())
    return numpy.fromiter(map(_numbers.__getitem__, found), numpy.uint32, len(found))


def compared_text(row: Row) -> str:
    """Return the text of a canonical row that is compared: all but system messages."""
    if "messages" in row:
        return "\n".join(turn_text(m) for m in row["messages"] if m["role"] != "system")
    return "\n".join(row[name] for name in ("prompt", "completion", "text") if name in row)
