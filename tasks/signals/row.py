"""All signals of one row, as numbers in a fixed order: what the profile holds beside token counts.

A number here is a fact about one row. What only the whole data set can say (a minority script,
JSON that most rows have, an outlier of length) is derived from these in `tasks/signals/frame.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tasks.signals import answers, characters, leftovers
from tasks.signals.answers import labels_of
from tasks.signals.redaction import private_data
from tasks.signals.texts import Row, texts_of

__all__ = ["COLUMNS", "PRIVATE", "WIDE", "Signals", "signals_of"]


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

#: Counts stop here, so that two bytes hold each.
MOST = 32_767

#: The columns that count private data.
PRIVATE = (
    *("emails", "phones", "cards", "ibans", "ssns", "ip_addresses"),
    *("credentials", "possible_credentials"),
)

#: Columns that need eight bytes.
WIDE = ("label", "label_family")


def signals_of(row: Row) -> Signals:
    """Return the signals of a canonical row."""
    signals = _all(row)
    narrow = signals[: -len(WIDE)]
    if max(narrow) <= MOST:
        return signals
    return Signals(*(min(count, MOST) for count in narrow), *signals[-len(WIDE) :])


def _all(row: Row) -> Signals:
    texts = texts_of(row)
    whole, prompt, answer = texts.whole, texts.prompt, texts.answer
    private = Counter(found.kind for found in private_data(whole))
    label, family = labels_of(answer)
    return Signals(
        mojibake=characters.mojibake(whole),
        replacement_chars=characters.replacement_characters(whole),
        control_chars=characters.control_characters(whole),
        zero_width_chars=characters.zero_width(whole),
        bidi_chars=characters.bidi_controls(whole),
        html=leftovers.html_leftovers(whole),
        placeholders=leftovers.placeholders(whole),
        conflict_markers=leftovers.conflict_markers(whole),
        chat_markup=leftovers.chat_markup(whole, answer),
        open_fence=leftovers.open_fence(answer),
        urls=leftovers.urls(whole),
        script=characters.script_of(answer) or characters.script_of(whole),
        refusal=answers.refusal(answer),
        empty_like=answers.empty_like(answer) if answer else 0,
        echo=answers.echo(prompt, answer),
        repetition_percent=answers.repetition_percent(answer or whole),
        json_answer=answers.json_answer(answer),
        emails=private["email"],
        phones=private["phone"],
        cards=private["card"],
        ibans=private["iban"],
        ssns=private["ssn"],
        ip_addresses=private["ip"],
        credentials=private["credential"],
        possible_credentials=private["possible_credential"],
        turns=texts.turns,
        system=int(texts.system),
        label=label,
        label_family=family,
    )
