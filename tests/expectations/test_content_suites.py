"""Content checks: each lists the rows it is for and no others, and says what it prevents."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from bench.validation_quality import checks_table
from expectations import drift, labels, privacy, sequence, text_quality
from tasks.profile.checkpoint import read_profile, run_checkpoint
from tasks.profile.rows import REASONS
from tasks.recipe import ValidationSection
from tasks.signals.drift import add_drift
from tasks.signals.row import Signals

MODULES = (text_quality, privacy, sequence, labels, drift)
PARAMETERS = {key: value for key, value in ValidationSection() if isinstance(value, float)}
FRACTIONS = [key for key in PARAMETERS if key.endswith("_fraction")]
SPLITS = ("train", "train", "train", "validation", "test")

#: Signals of a row -> the check that lists it; twelve rows of each stand among 800 sound ones.
SIGNALS: list[tuple[dict[str, Any], str | None]] = [
    ({"mojibake": 1}, "mojibake"),
    ({"replacement_chars": 1}, "replacement-characters"),
    ({"control_chars": 1}, "control-characters"),
    ({"zero_width_chars": 1}, "zero-width"),
    ({"bidi_chars": 1}, "bidi-controls"),
    ({"html": 2}, "html"),
    ({"placeholders": 1}, "placeholders"),
    ({"conflict_markers": 3}, "conflict-markers"),
    ({"refusal": 1}, "refusals"),
    ({"empty_like": 2}, "empty-like"),
    ({"empty_like": 1, "label": 5, "label_family": 0}, "empty-like"),
    ({"empty_like": 1}, None),
    ({"repetition_percent": 50}, "repetition"),
    ({"repetition_percent": 49}, None),
    ({"json_answer": 2}, "json-answers"),
    ({"json_answer": 0}, "json-answers"),
    ({"script": 27}, "scripts"),
    ({"script": 0}, None),
    ({"urls": 1}, "web-addresses"),
    ({"tokens": 4}, "length-outliers"),
    ({"emails": 1}, "emails"),
    ({"phones": 1}, "phones"),
    ({"cards": 1}, "cards"),
    ({"ibans": 1}, "ibans"),
    ({"ssns": 1}, "social-security-numbers"),
    ({"ip_addresses": 1}, "ip-addresses"),
    ({"credentials": 1}, "credentials"),
    ({"possible_credentials": 1}, "possible-credentials"),
    ({"emails": 1, "credentials": 1, "redacted": 2}, None),
    ({"emails": 1, "split": "rejected", "private_data": 1}, None),
    ({"chat_markup": 1}, "chat-markup"),
    ({"open_fence": 1}, "open-fences"),
    ({"echo": 1}, "echoes"),
    ({"system": 1}, "system-messages"),
    ({"label": 71}, "label-variants"),
    ({"label": 9, "label_family": 9}, "new-labels"),
]

#: What one row can set off by itself.
SINGLE = {"label": 11, "label_family": 11}

#: Lengths and labels as in the sound rows.
REFERENCE = pandas.DataFrame(
    {"split": ["train"] * 400, "tokens": [32] * 400, "label_family": [7, 8] * 200}
)


def row_of(line: int, split: str, **changes: Any) -> dict[str, Any]:
    label = 7 + line % 2
    signals = Signals(script=1, json_answer=1, turns=1, label=label, label_family=label)
    row: dict[str, Any] = dict.fromkeys((*REASONS, "bad_structure", "leaked", "conflict"), 0)
    row |= {"source": "d.jsonl", "line": line, "split": split, "truncated_tokens": 0}
    row |= {
        "tokens": 32,
        "loss_tokens": 8,
        "last_token_learned_is_eos": 1,
        "bos_count": 1,
        "special_tokens": 0,
    }
    return row | signals._asdict() | changes


def checks_of(
    folder: Path, rows: list[dict[str, Any]], limits: dict[str, float] | None = None
) -> dict[str, Any]:
    path = folder / "profile.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    frame = read_profile(path)
    add_drift(frame, REFERENCE)
    checks, _evidence = run_checkpoint(
        frame, lambda: [module.suite() for module in MODULES], PARAMETERS | (limits or {})
    )
    return {check.id: check for check in checks}


def test_each_check_lists_its_rows_and_no_others(tmp_path: Path) -> None:
    rows = [row_of(line, SPLITS[line % 5]) for line in range(1, 801)]
    expected: dict[str | None, list[int]] = defaultdict(list)
    for changes, check in SIGNALS:
        for _ in range(12):
            rows.append(row_of(len(rows) + 1, "train") | changes)
            expected[check].append(len(rows))
    rows.append(row_of(len(rows) + 1, "train", **SINGLE))
    expected["single-labels"] = [len(rows)]
    expected["new-labels"].append(len(rows))
    rows += [row_of(len(rows) + n, "test", label=12, label_family=12) for n in (1, 2)]
    expected["unlearned-labels"] = [len(rows) - 1, len(rows)]
    # Twelve and two rows of a label are rare beside six hundred; one row is no class.
    expected["label-imbalance"] = expected["new-labels"][:12] + expected["unlearned-labels"]
    expected["new-labels"] += expected["unlearned-labels"]
    checks = checks_of(tmp_path, rows, dict.fromkeys(FRACTIONS, 0.0))
    assert {name: list(check.rows) for name, check in checks.items() if check.rows} == {
        name: lines for name, lines in expected.items() if name
    }
    passed = {name for name, check in checks.items() if check.passed}
    assert passed == {"length-drift", "label-drift"}
    # A share of the kept rows: twelve are rejected.
    assert checks["mojibake"].observed == pytest.approx(12 / (len(rows) - 12), abs=1e-6)


def test_sound_rows_pass_every_check(tmp_path: Path) -> None:
    checks = checks_of(tmp_path, [row_of(line, SPLITS[line % 5]) for line in range(1, 201)])
    assert all(check.passed and not check.rows for check in checks.values())


def test_other_lengths_and_other_shares_of_labels_are_drift(tmp_path: Path) -> None:
    rows = [row_of(line, SPLITS[line % 5], tokens=64 + line % 9) for line in range(1, 201)]
    for row in rows[:190]:
        row["label"] = row["label_family"] = 7
    checks = checks_of(tmp_path, rows)
    failed = {name for name, check in checks.items() if not check.passed}
    assert failed == {"length-drift", "label-drift", "label-imbalance"}
    assert checks["length-drift"].observed > 1


def test_reported_severities_are_the_declared_ones(tmp_path: Path) -> None:
    """Great Expectations drops values equal to a class's default, so they are compared."""
    declared = {
        expectation.meta["id"]: str(getattr(expectation.severity, "value", expectation.severity))
        for module in MODULES
        for expectation in module.suite().expectations
    }
    checks = checks_of(tmp_path, [row_of(line, SPLITS[line % 5]) for line in range(1, 51)])
    assert {name: check.severity for name, check in checks.items()} == declared
    assert len(declared) == 34
    assert [name for name, severity in declared.items() if severity == "critical"] == [
        *("conflict-markers", "empty-like", "credentials")
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_check_says_what_it_prevents(module: ModuleType) -> None:
    made = module.suite().expectations
    builders = [
        value
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and name != "suite"
    ]
    assert len(builders) == len(made)
    for function in builders:
        assert "Prevents:" in (function.__doc__ or ""), function
    for expectation in made:
        assert expectation.description.endswith(".")
        limit = expectation.max_value["$PARAMETER"]
        assert limit in ValidationSection.model_fields


def test_the_page_has_every_check() -> None:
    """`python -m bench.validation_quality --checks` writes the table."""
    page = (Path(__file__).parents[2] / "docs" / "data_gate.md").read_text(encoding="utf-8")
    assert checks_table() in page
