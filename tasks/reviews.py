"""Reviews of a data report: kept in a file that only grows, and bound to what they were made for.

A review is an act with a name, a reason and perhaps a last day. It holds for the data it was made
for (sources and the rows of every split), the set of expectations, and the threshold of the check;
a change of any of these voids it. Critical findings are accepted by name only: `all` covers the
rest. A later review of the same finding wins. An accepted finding is still a warning.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

from tasks.contracts import DataCheck, DataReport, Review, Splits
from tasks.run_folder import canonical, text_sha256

__all__ = [
    *("ALL", "add_reviews", "data_sha256", "decided", "findings", "live_reviews"),
    *("read_reviews", "suites_sha256", "undecided", "verdict_of"),
]

#: In place of a check's id: every finding that is not critical, and the report as a whole.
ALL = "all"


def data_sha256(splits: Splits) -> str:
    """Return the hash of what was judged: the sources, and what became of their rows."""
    parts = [splits.train.sha256, splits.validation.sha256, splits.test.sha256]
    sources = [source.sha256 for source in splits.sources]
    return text_sha256(canonical([sources, parts, splits.rejected, splits.max_length]))


def suites_sha256(suites: Iterable[dict[str, Any]]) -> str:
    """Return the hash of what was asked: expectations with their severities, not their numbers."""
    asked = ("type", "kwargs", "severity", "meta")
    plain = [
        [suite["name"], [{key: each.get(key) for key in asked} for each in suite["expectations"]]]
        for suite in suites
    ]
    return text_sha256(canonical(plain))


def read_reviews(path: Path) -> list[Review]:
    """Return every review of the file, in order; a line cut off by a crash is left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Review.model_validate_json(line))
        except ValueError:
            continue
    return found


def add_reviews(path: Path, reviews: Sequence[Review]) -> None:
    """Append reviews; what is in the file is never changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(review.model_dump(mode="json")) + "\n" for review in reviews)
        file.flush()
        os.fsync(file.fileno())


def live_reviews(path: Path, data: str, today: date | None = None) -> tuple[Review, ...]:
    """Return the reviews made for this data that have not run out."""
    now = (today or date.today()).isoformat()
    return tuple(
        review
        for review in read_reviews(path)
        if review.data_sha256 == data and (review.until is None or now <= review.until)
    )


def decided(report: DataReport, reviews: Sequence[Review]) -> DataReport:
    """Return the report as reviewed: decisions on its findings, and the verdict they lead to."""
    thresholds = {check.id: check.threshold for check in report.checks}
    bound = tuple(
        review.model_copy(update={"void": _void(review, report.suite_sha256, thresholds)})
        for review in reviews
    )
    checks = tuple(
        check.model_copy(update={"decision": _decision(check, bound)}) for check in report.checks
    )
    verdict = verdict_of(checks, rejected=report.rows_in - report.rows_out, whole=_whole(bound))
    return report.model_copy(update={"checks": checks, "reviews": bound, "verdict": verdict})


def verdict_of(
    checks: Iterable[DataCheck], *, rejected: int, whole: str | None = None
) -> Literal["pass", "warn", "fail"]:
    """Return the verdict: the worst of what failed, was rejected by a review, or was lost.

    Args:
        checks: Every check, with the decision of a review if there is one.
        rejected: How many rows do not go on.
        whole: What a review said of the report as a whole.
    """
    failed = [check for check in checks if not check.passed]
    if whole == "reject" or any(check.decision == "reject" for check in failed):
        return "fail"
    if any(check.severity == "critical" and check.decision is None for check in failed):
        return "fail"
    told = any(check.severity != "info" for check in failed)
    return "warn" if told or rejected else "pass"


def findings(report: DataReport) -> list[DataCheck]:
    """Return the checks that failed and are more than a note."""
    return [check for check in report.checks if not check.passed and check.severity != "info"]


def undecided(report: DataReport) -> list[str]:
    """Return what a required review still has to decide: ids of findings, or `all` of none.

    A rejection decides everything: nothing goes on.
    """
    found = findings(report)
    whole = _whole(report.reviews)
    if whole == "reject" or any(check.decision == "reject" for check in found):
        return []
    if not found:
        return [] if whole == "accept" else [ALL]
    return [check.id for check in found if check.decision is None]


def _void(review: Review, suites: str, thresholds: dict[str, float | None]) -> str:
    """Return why a review of this data does not bind, or nothing."""
    if review.suite_sha256 != suites:
        return "the set of expectations changed"
    if review.check == ALL:
        return ""
    if review.check not in thresholds:
        return "there is no such check any more"
    if review.threshold != thresholds[review.check]:
        return f"the threshold changed from {review.threshold} to {thresholds[review.check]}"
    return ""


def _decision(check: DataCheck, reviews: Sequence[Review]) -> Literal["accept", "reject"] | None:
    """Return the last word on a failed check; `all` does not accept a critical one."""
    if check.passed:
        return None
    said: Literal["accept", "reject"] | None = None
    for review in reviews:
        by_name = review.check == check.id
        as_rest = review.check == ALL and check.severity != "critical"
        if not review.void and (by_name or as_rest):
            said = review.decision
    return said


def _whole(reviews: Iterable[Review]) -> str | None:
    said = [review.decision for review in reviews if review.check == ALL and not review.void]
    return said[-1] if said else None
