"""The commonest check of all: of a 0/1 column, at most a share of the kept rows is 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

__all__ = ["few"]


def few(description: str, *, limit: str, severity: str, meta: dict[str, str | None]) -> Expectation:
    """Return the check that the mean of the column `meta["rows"]` is at most the parameter `limit`."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column=str(meta["rows"]),
        max_value={"$PARAMETER": limit},
        severity=severity,
        description=description,
        meta=meta,
    )
