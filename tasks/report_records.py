"""Records of the data gate: what a check saw, what somebody decided about it, and the report.

Read through `tasks/contracts.py`, like all records. What a review binds is in `tasks/reviews.py`.
"""

from __future__ import annotations

from typing import Literal

from tasks.record import Record

__all__ = ["DataCheck", "DataReport", "Review", "Severity", "Unit"]

Severity = Literal["critical", "warning", "info"]
Unit = Literal["share", "rows", "tokens", "number"]


class DataCheck(Record):
    """One expectation and what it saw; `rows` are up to 1,000 source lines, 1-based.

    `prevents` is the failure in the field that the check is there for; `decision` is what a
    review said of the finding. `observed` and `threshold` are in `unit`; `at_least` is whether the
    threshold is the least allowed, else it is the most.
    """

    id: str
    severity: Severity
    passed: bool
    observed: float | None
    threshold: float | None
    unexpected_count: int
    rows: tuple[int, ...]
    sentence: str
    prevents: str = ""
    decision: Literal["accept", "reject"] | None = None
    unit: Unit = "rows"
    at_least: bool = False


class Review(Record):
    """What somebody decided about a finding: who, why, until when, and for exactly what.

    `check` is a check's id, or `all` for the report as a whole. It binds the data, the set of
    expectations and the threshold it was made for; `void` says why it does not bind any more.
    `until` is the last day it holds (ISO), None: as long as nothing changes.
    """

    decision: Literal["accept", "reject"]
    check: str
    reason: str
    reviewer: str
    until: str | None
    at: str
    run: str
    data_sha256: str
    suite_sha256: str
    threshold: float | None
    void: str = ""


class DataReport(Record):
    """The verdict of the data gate, and the page that people review.

    `data_sha256` and `suite_sha256` are what a review of it binds; `reviews` are those that were
    made for this data and had not run out.
    """

    verdict: Literal["pass", "warn", "fail"]
    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    splits: dict[str, int]
    checks: tuple[DataCheck, ...]
    token_percentiles: dict[str, int]
    loss_token_fraction: float
    report_path: str
    data_sha256: str = ""
    suite_sha256: str = ""
    reviews: tuple[Review, ...] = ()
