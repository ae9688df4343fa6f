"""All signals of one row, as numbers in a fixed order: what the profile holds beside token counts.

A number here is a fact about one row. What only the whole data set can say (a minority script,
JSON that most rows have, an outlier of length) is derived from these in `tasks/signals/frame.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.signals.texts import Row, Texts, texts_of

__all__ = ["COLUMNS", "WIDE", "Signals", "signals_of"]


class Signals(NamedTuple):
    """Counts of what was found in a row's texts; 0 where there is nothing to tell.

    `json_answer` is 1 for valid JSON, 2 for an answer that begins like JSON and is none.
    `empty_like` is 2 for what only a broken join writes ("nan"), 1 for a word that may be an
    answer ("none"). `label` and `label_family` are hashes of a short answer, as it is and with
    case and white space folded. `redacted` counts private data that were masked in the row.
    """

    mojibake: int = 0
    replacement_chars: int = 0
    control_chars: int = 0
    zero_width_chars: int = 0
    bidi_chars: int = 0
    html: int = 0
    placeholders: int = 0
    conflict_markers: int = 0
    chat_markup: int = 0
    open_fence: int = 0
    urls: int = 0
    script: int = 0
    refusal: int = 0
    empty_like: int = 0
    echo: int = 0
    repetition_percent: int = 0
    json_answer: int = 0
    emails: int = 0
    phones: int = 0
    cards: int = 0
    ibans: int = 0
    ssns: int = 0
    ip_addresses: int = 0
    credentials: int = 0
    possible_credentials: int = 0
    redacted: int = 0
    turns: int = 0
    system: int = 0
    label: int = 0
    label_family: int = 0


#: The profile's columns, in order.
COLUMNS = Signals._fields

#: Columns that need 64 bits.
WIDE = ("label", "label_family")


def signals_of(row: Row) -> Signals:
    """Return the signals of a canonical row."""
    return _signals(texts_of(row))


def _signals(texts: Texts) -> Signals:
    return Signals(turns=texts.turns, system=int(texts.system))
