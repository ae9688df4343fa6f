"""Exact match: the share of answers that say the same as their reference.

Compared after Unicode NFC and with white space collapsed; two JSON texts by their values, so key
order and spacing do not count; two bare numbers by their value, so 1,200 is 1200. Nothing else is
forgiven: case and punctuation count. A subclass of Hugging Face `evaluate.Metric`
runs it offline (`evaluate.load("exact_match")` needs the Hub).
"""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import evaluate

__all__ = ["exact_match_metric", "says_the_same"]

NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")


def says_the_same(answer: str, reference: str) -> bool:
    """Return whether an answer matches its reference exactly, up to form."""
    ours, theirs = _plain(answer), _plain(reference)
    if ours == theirs:
        return True
    if NUMBER.fullmatch(ours) and NUMBER.fullmatch(theirs):
        return _number(ours) == _number(theirs)
    left, right = _structure(ours), _structure(theirs)
    return left is not None and right is not None and left == right


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _number(text: str) -> str:
    """Return the number without thousands commas, plus sign and trailing zeros; never a float."""
    sign = "-" if text.startswith("-") else ""
    whole, _, part = text.lstrip("+-").replace(",", "").partition(".")
    digits = f"{whole.lstrip('0') or '0'}.{part.rstrip('0')}".rstrip(".")
    return digits if digits == "0" else sign + digits


def _structure(text: str) -> str | None:
    """Return a JSON object or list in one canonical form; None if it is neither."""
    if text[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text, parse_int=_tagged, parse_float=_tagged)
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return None


def _tagged(number: str) -> dict[str, str]:
    """Return a JSON number so that 1.0 is 1, and neither is the text "1" or true."""
    return {"number": str(Decimal(number).normalize())}


def exact_match_metric() -> evaluate.Metric:
    """Return the metric for Hugging Face `evaluate`; it also gives each row's flag."""
    import datasets
    import evaluate

    class ExactMatch(evaluate.Metric):
        """Exact match as this module defines it."""

        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description="Share of answers that say the same as their reference.",
                citation="",
                inputs_description="predictions and references: texts",
                features=datasets.Features(
                    {
                        "predictions": datasets.Value("string"),
                        "references": datasets.Value("string"),
                    }
                ),
            )

        def _compute(
            self,
            *,
            predictions: list[str] | None = None,
            references: list[str] | None = None,
            **_options: object,
        ) -> dict[str, Any]:
            assert predictions
            assert references
            flags = [says_the_same(p, r) for p, r in zip(predictions, references, strict=True)]
            return {"exact_match": sum(flags) / len(flags), "flags": flags}

    return ExactMatch(keep_in_memory=True)
