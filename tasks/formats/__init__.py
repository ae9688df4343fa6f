"""Row shapes that can be read: one file each, in the order of detection.

A member has COLUMNS (its own names of what it reads), `detect` (which columns of a file those are,
one dictionary a possible reading) and `to_canonical` (a row, or every reason against it). A member
whose rows are chats only where the tokenizer has a template also has `to_prompt_completion`.
`fields.py` and `turns.py` are what they share.
"""

from __future__ import annotations

from types import ModuleType

from tasks.formats import (
    alpaca,
    classification,
    guanaco,
    messages,
    preference,
    prompt_completion,
    sharegpt,
    text,
)

FORMATS: dict[str, ModuleType] = {
    "messages": messages,
    "sharegpt": sharegpt,
    "preference": preference,
    "alpaca": alpaca,
    "prompt_completion": prompt_completion,
    "classification": classification,
    "guanaco": guanaco,
    "text": text,
}
