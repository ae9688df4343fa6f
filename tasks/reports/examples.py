"""Rendered training rows for people: runs of learned and unlearned text, masked and visible."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from tasks.reports.visible import masked, visible

__all__ = ["shown_pieces"]


def shown_pieces(example: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return the text of an example as runs of tokens that are learned or not.

    What looks personal is masked over the whole text, for a number may stand in several tokens.
    """
    whole = masked("".join(text for text, _learned in example["pieces"]))
    runs, start = [], 0
    for learned, tokens in groupby(example["pieces"], key=lambda piece: bool(piece[1])):
        end = start + sum(len(text) for text, _learned in tokens)
        runs.append((visible(whole[start:end]), learned))
        start = end
    return runs
