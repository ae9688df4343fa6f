"""Grade the data gate on real sets whose defects are listed: `python -m bench.validation_quality`.

Every set is prepared and validated with the shipped base model's tokenizer; what the gate lists is
compared, row by row, with the `known_defects.json` that lies beside the set. Prints one line a
defect (known, found, recall, precision) and the checks that failed, and writes the table into
docs/data_gate.md between its marks with --write. Rows found and not known are not always false
alarms: the lists were made with plain patterns; `--show` prints where they stand.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.graded_sets import SETS, Graded
from tasks.base_model import BaseModelFiles
from tasks.contracts import DataReport
from tasks.errors import FinetuneError
from tasks.preparation import prepare
from tasks.profile.checkpoint import read_profile
from tasks.profile.suites import suites_of
from tasks.recipe import Recipe, ValidationSection
from tasks.run_folder import RunFolder
from tasks.validation import validate

if TYPE_CHECKING:
    from pandas import DataFrame

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "data_gate.md"
MISSES_SHOWN = 12


def main() -> None:
    """Read the command line, grade every set, print and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="the sets, each with its README")
    parser.add_argument("--checks", action="store_true", help="write only the table of checks")
    parser.add_argument("--only", help="one set by name")
    parser.add_argument("--show", action="store_true", help="print rows missed and found besides")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    if asked.checks:
        _write("checks", checks_table())
        return
    if asked.data is None:
        parser.error("name the folder of the sets")
    logging.basicConfig(level=logging.ERROR)
    start, lines, alarms = time.monotonic(), [], []
    for graded in SETS:
        if asked.only in (None, graded.name):
            table, verdict = _grade(graded, asked.data, show=asked.show)
            lines += table
            alarms.append(verdict)
            print(*table, verdict, sep="\n", flush=True)  # noqa: T201
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    text = "\n".join(
        [
            f"Graded {datetime.now(UTC):%Y-%m-%d} in {time.monotonic() - start:.0f} s ({machine}):",
            "",
            "| set | defect | known | found | both | recall | precision |",
            "|---|---|--:|--:|--:|--:|--:|",
            *lines,
            "",
            "| set | rows | verdict | checks that failed (rows) |",
            "|---|--:|---|---|",
            *alarms,
        ]
    )
    if asked.write:
        _write("graded", text)


def checks_table() -> str:
    """Return every check with its severity, its key, the key's default and its sentence."""
    limits = ValidationSection(reference="any")
    lines = [
        "| check | severity | `validation:` key | default | what it says |",
        "|---|---|---|--:|---|",
    ]
    for suite in suites_of(limits, (), ()):
        for check in suite.expectations:
            kwargs = check.configuration.kwargs
            limit = kwargs.get("max_value", kwargs.get("min_value"))
            key = limit["$PARAMETER"] if isinstance(limit, dict) else None
            known = key in ValidationSection.model_fields
            default = getattr(limits, key) if known else None
            cells = (
                f"`{(check.meta or {})['id']}`",
                check.configuration.severity.value,
                f"`{key}`" if known else "",
                "" if default is None else f"{default:g}",
                str(check.description),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _write(part: str, text: str) -> None:
    """Put the text between the marks of a part of the page."""
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    page = f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"
    PAGE.write_text(page, encoding="utf-8")


def _grade(graded: Graded, data: Path, *, show: bool) -> tuple[list[str], str]:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            frame, report = _validated(graded, data, Path(scratch))
        except FinetuneError as error:
            return [], f"| {graded.name} | | refused | {str(error).splitlines()[0][:120]} |"
    lines = []
    for words, (column, known) in graded.defects(data).items():
        found = {int(row) for row in frame.index[frame[column] > 0]}
        lines.append(f"| {graded.name} | {words} | {_grades(known, found)} |")
        if show:
            for title, rows in (("missed", known - found), ("besides", found - known)):
                shown = sorted(rows)[:MISSES_SHOWN]
                print(f"  {graded.name}: {words}: {title} {len(rows)}: {shown}")  # noqa: T201
    failed = [f"{c.id} ({c.unexpected_count:,})" for c in report.checks if not c.passed]
    rows = f"{report.rows_in:,}"
    return lines, f"| {graded.name} | {rows} | {report.verdict} | {', '.join(failed) or 'none'} |"


def _grades(known: set[int], found: set[int]) -> str:
    both = len(known & found)
    recall = f"{both / len(known):.3f}" if known else "-"
    precision = f"{both / len(found):.3f}" if found else "-"
    return f"{len(known):,} | {len(found):,} | {both:,} | {recall} | {precision}"


def _validated(graded: Graded, data: Path, scratch: Path) -> tuple[DataFrame, DataReport]:
    """Return the profile of the set's own rows, in order, and the report."""
    recipe = Recipe.model_validate(
        {
            "name": "graded",
            "model": {"model_name_or_path": "tasks/assets/base"},
            "dataset": {
                "path": str(_jsonl(scratch / "train.jsonl", graded.rows(data))),
                "on_overlength": "truncate",
                **(
                    {"test_path": str(_jsonl(scratch / "test.jsonl", graded.test_rows(data)))}
                    if graded.test_rows
                    else {}
                ),
                **graded.dataset,
            },
        }
    )
    base = BaseModelFiles(
        name="base", path=str(ROOT / "tasks/assets/base"), revision=None, sha256="base"
    )
    folder = RunFolder(scratch / "run", {"device": "cpu"})
    splits = prepare.fn.__wrapped__(recipe, base, folder)
    report = validate.fn.__wrapped__(recipe, splits, folder)
    frame = read_profile(folder.path / splits.profile_path)
    return frame[frame["source"] == "train.jsonl"].reset_index(drop=True), report


def _jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
