"""Data Docs and our page in a browser without a network; and the copied files are the originals."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.contracts import DataReport
from tests.browsing import Browser, Seen, browser
from tests.preparing import pairs, validated, write_jsonl

pytestmark = pytest.mark.xdist_group("data_docs")

ASSETS = Path(__file__).parents[2] / "tasks" / "assets" / "data_docs"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def elsewhere(seen: Seen) -> list[str]:
    """Return what a page asked for that lies in no file."""
    return [each for each in seen.addresses if not each.startswith(("file://", "data:"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which 12 of 212 answers are empty, and every prompt is hostile."""
    home = tmp_path_factory.mktemp("docs")
    rows = [{**row, "prompt": f"{row['prompt']} {HOSTILE}"} for row in pairs(200)]
    empty = [{"prompt": f"nothing {n} {HOSTILE}", "completion": ""} for n in range(12)]
    path = write_jsonl(home / "d.jsonl", [*empty, *rows])
    validated(path, home / "run", {})
    return home / "run" / "validate"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


def test_copied_files_are_those_of_their_packages() -> None:
    known = {"manifest.json", "README.md"}
    for package in json.loads((ASSETS / "manifest.json").read_text()):
        assert package["license"] in {"MIT", "Apache-2.0", "CC-BY-4.0"}
        assert package["source"].startswith("https://registry.npmjs.org/")
        assert package["integrity"].startswith("sha512-")
        about = package["license_file"]
        for name, digest in {
            about["name"]: about["sha256"],
            **{name: file["sha256"] for name, file in package["files"].items()},
        }.items():
            assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest, name
            known.add(name)
    there = {str(path.relative_to(ASSETS)) for path in ASSETS.rglob("*") if path.is_file()}
    assert there == known
    assert sum((ASSETS / name).stat().st_size for name in there) < 700_000


def test_pages_load_nothing_from_elsewhere(folder: Path) -> None:
    pages = sorted((folder / "data_docs").rglob("*.html"))
    record = json.loads((folder / "report.json").read_text())
    suites = len(record["great_expectations"]["suites"])
    assert len(pages) == 2 * suites + 1
    loaded = re.compile(
        r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"([^\"]*)\"|url\(([^)]*)\)"
    )
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in loaded.findall(text):
            address = (found[0] or found[1]).strip("\"'")
            assert address.startswith("data:") or (page.parent / address).is_file(), address
        assert "<footer" not in text
    assert not (folder / "data_docs" / "static").exists()


def test_severities_shown_are_those_declared(folder: Path) -> None:
    record = json.loads((folder / "report.json").read_text())
    report = DataReport.model_validate(record["report"])
    suites = record["great_expectations"]["suites"]
    declared = {
        each["meta"]["id"]: (suite["name"], each["severity"])
        for suite in suites
        for each in suite["expectations"]
    }
    for check in report.checks:
        suite, severity = declared[check.id]
        assert check.severity == severity
        page = next((folder / "data_docs" / "validations" / suite).rglob("*.html"))
        assert f">{severity}</span> {check.sentence}" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_index_lists_every_suite_and_every_check(folder: Path, chromium: Browser) -> None:
    seen = chromium.open(folder / "data_docs" / "index.html")
    assert elsewhere(seen) == []
    assert seen.complaints == []
    assert "The data gate failed: 2 critical" in seen.text
    assert "12 rows, lines 1, 2, 3," in seen.text
    results = len(list((folder / "data_docs" / "validations").iterdir()))
    assert f"Showing 1 to {results} of {results} rows" in seen.text
    icon = "getComputedStyle(document.querySelector('.fa-check-circle')).backgroundImage"
    assert chromium.evaluate(icon).startswith('url("data:image/svg+xml')


@pytest.mark.slow
def test_a_suite_s_page_names_severity_and_lines(folder: Path, chromium: Browser) -> None:
    page = next((folder / "data_docs" / "validations" / "structure").rglob("*.html"))
    seen = chromium.open(page)
    assert elsewhere(seen) == []
    assert seen.complaints == []
    assert "critical Answers are not empty." in seen.text
    assert "12 rows, lines 1, 2, 3," in seen.text
    link = "Array.from(document.querySelectorAll('.dg-lines a')).pop().href"
    assert chromium.evaluate(link) == (folder / "report.html").as_uri()


@pytest.mark.slow
def test_our_page_shows_failing_rows_and_nothing_of_them_acts(
    folder: Path, chromium: Browser
) -> None:
    seen = chromium.open(folder / "report.html")
    assert seen.addresses == [(folder / "report.html").as_uri()]
    assert seen.complaints == []
    assert "Answers are not empty." in seen.text
    assert "nothing 7 <script>document.title='owned'</script>" in seen.text
    assert chromium.evaluate("document.title") == "trial: data report (fail)"
    assert chromium.evaluate("document.querySelectorAll('script, img').length") == 0
    docs = "document.querySelector('a[href*=data_docs]').href"
    assert chromium.evaluate(docs) == (folder / "data_docs" / "index.html").as_uri()
    wide = "document.documentElement.scrollWidth > window.innerWidth"
    assert chromium.evaluate(wide) is False
