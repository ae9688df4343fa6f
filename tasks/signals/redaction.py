"""Private data as one list, and texts in which it is masked: "[EMAIL]" for what stood there.

The masked form is what reports may show and what `on_pii: redact` trains on. Masking a masked text
changes nothing.
"""

from __future__ import annotations

from tasks.signals.credentials import credentials
from tasks.signals.personal import Found, personal_data
from tasks.signals.texts import Row, rewritten

__all__ = ["MASKS", "masked", "private_data", "redacted"]

#: Kind of private data -> what stands in its place.
MASKS = {
    "email": "[EMAIL]",
    "phone": "[PHONE]",
    "card": "[CARD]",
    "iban": "[IBAN]",
    "ssn": "[SSN]",
    "ip": "[IP]",
    "credential": "[CREDENTIAL]",
    "possible_credential": "[CREDENTIAL]",
}


def private_data(text: str) -> list[Found]:
    """Return everything private in a text, by place; of two that overlap the earlier one stays."""
    found = [Found(*place) for place in credentials(text)]
    found += personal_data(text)
    if len(found) < 2:
        return found
    # The order of finding decides between two that begin at one place.
    found.sort(key=lambda each: each.start)
    kept = found[:1]
    for each in found[1:]:
        if each.start >= kept[-1].end:
            kept.append(each)
    return kept


def masked(text: str) -> str:
    """Return the text with everything private masked."""
    found = private_data(text)
    parts, last = [], 0
    for kind, start, end in found:
        parts += [text[last:start], MASKS[kind]]
        last = end
    return "".join([*parts, text[last:]]) if found else text


def redacted(row: Row) -> Row:
    """Return the row with every text masked."""
    return rewritten(row, masked)
