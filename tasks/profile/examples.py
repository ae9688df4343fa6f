"""Two training rows, token by token, with what is learned of each: for people to look at.

A wrong mask cannot be seen in a loss curve; it can be seen here.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from tasks.encoding import Encoded, Encoder

__all__ = ["write_examples"]

EXAMPLES = 2
SHOWN_TOKENS = 1200

#: Tokens before that a decoder needs to see to write the space between two words.
CONTEXT = 4

#: What a decoder writes for bytes that are no whole character yet.
INCOMPLETE = "\ufffd"


def write_examples(path: Path, train: Path, encoder: Encoder, max_length: int) -> None:
    """Write the first training rows as [{"source", "line", "tokens", "pieces": [[text, 0 or 1]]}]."""
    examples = []
    with train.open(encoding="utf-8") as file:
        for line in islice(file, EXAMPLES):
            row = json.loads(line)
            encoded = encoder.encode(row).cut(max_length)
            examples.append(
                {
                    "source": row["source"],
                    "line": row["line"],
                    "tokens": len(encoded.input_ids),
                    "pieces": pieces(encoder, encoded),
                }
            )
    path.write_text(json.dumps(examples), encoding="utf-8")


def pieces(encoder: Encoder, encoded: Encoded) -> list[tuple[str, int]]:
    """Return the text of each token and whether it is learned.

    Tokens that are only together a character (byte-level vocabularies) are one piece.
    """
    found: list[tuple[str, int]] = []
    waiting: list[int] = []
    shown = encoded.input_ids[:SHOWN_TOKENS]
    for position, token in enumerate(shown):
        learned = encoded.loss_mask[position]
        waiting.append(token)
        before = shown[max(0, position + 1 - len(waiting) - CONTEXT) : position + 1 - len(waiting)]
        text = _added_text(encoder, before, waiting)
        last = position + 1 == len(shown) or encoded.loss_mask[position + 1] != learned
        if INCOMPLETE in text and not last:
            continue
        found.append((text, learned))
        waiting = []
    return found


def _added_text(encoder: Encoder, before: list[int], tokens: list[int]) -> str:
    """Return what tokens add to those before; alone, a decoder drops their leading space."""
    start = str(encoder.tokenizer.decode(before)) if before else ""
    whole = str(encoder.tokenizer.decode([*before, *tokens]))
    return whole[len(start) :] if whole.startswith(start) else str(encoder.tokenizer.decode(tokens))
