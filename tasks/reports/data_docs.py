"""Great Expectations' Data Docs made to work offline, with severities and failing lines.

As they are rendered, the pages load scripts and styles from sixteen addresses, show an empty index
without a network, and never say how severe a check is. Here every address is replaced by a copied
file (`tasks/assets/data_docs/`), and each check gets its severity, its lines and a way to our page.
"""

from __future__ import annotations

import base64
import html
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tasks.contracts import DataCheck, DataReport
from tasks.reports import amounts

__all__ = ["make_offline"]

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "data_docs"
LISTED_LINES = 20

#: In the order the pages load them.
STYLES = (
    *("bootstrap-table.min.css", "bootstrap.min.css", "bootstrap-table-filter-control.min.css"),
    *("bootstrap-datepicker.min.css", "ours.css"),
)
SCRIPTS = (
    *("jquery.min.js", "popper.min.js", "bootstrap.min.js", "bootstrap-table.min.js"),
    *("bootstrap-table-filter-control.min.js", "bootstrap-datepicker.min.js"),
)

#: Class of an icon in the pages -> its drawing and colour.
ICONS = {
    "fa-check-circle": ("circle-check.svg", "#28a745"),
    "fa-times": ("xmark.svg", "#dc3545"),
    "fa-exclamation-triangle": ("triangle-exclamation.svg", "#ffc107"),
    "fa-comment": ("comment.svg", "#17a2b8"),
    "fa-question-circle": ("circle-question.svg", "#17a2b8"),
}
COLOURS = {"critical": "#b3261e", "warning": "#9a6200", "info": "#35609d", "ok": "#1f8a4c"}
COLOURS |= {"note": COLOURS["info"], "waived": COLOURS["warning"], "refused": COLOURS["critical"]}

STYLE = """
.dg { border-radius: 5px; color: #fff; font-size: 12px; font-weight: 600; padding: 1px 7px; }
.dg-lines { color: #5c6878; font-size: 12.5px; }
.dg-box { border: 1px solid #dee2e6; border-radius: 8px; margin: 0 0 24px; padding: 14px 18px; }
.dg-box table { width: 100%; } .dg-box td, .dg-box th { padding: 4px 12px 4px 0; vertical-align: top; }
"""

#: Whatever is loaded from elsewhere, and what asks for the reader's address.
REMOTE = re.compile(
    r"<script\b[^>]*\bsrc=[^>]*>\s*</script>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<footer\b.*?</footer>|@import[^;]*;",
    re.DOTALL,
)
REMOTE_IMAGE = re.compile(r"url\(['\"]?https?:[^)]*\)")

#: A graph, which only a suite of the user's own can have, is told instead of drawn.
NO_GRAPHS = (
    "<script>window.vegaEmbed=function(at){document.querySelector(at).textContent="
    '"(a graph; Vega is not part of the offline pages)";return Promise.resolve()}</script>'
)


def make_offline(
    site: Path, report: DataReport, suites: Mapping[str, str], name: str, page: Path
) -> None:
    """Rewrite a rendered site in place.

    Args:
        site: The folder with index.html.
        report: The verdict, with every check.
        suites: Name of the suite that each check belongs to.
        name: The recipe's.
        page: Our own page, in the same run folder.
    """
    shutil.rmtree(site / "static", ignore_errors=True)
    assets = site / "assets"
    assets.mkdir()
    for file in (*STYLES, *SCRIPTS):
        if file != "ours.css":
            shutil.copyfile(ASSETS / file, assets / file)
    (assets / "ours.css").write_text(STYLE + _icons(), encoding="utf-8")
    shutil.copytree(ASSETS / "licenses", assets / "licenses")
    for path in sorted(site.rglob("*.html")):
        text = _local(path.read_text(encoding="utf-8"), os.path.relpath(assets, path.parent), name)
        link = os.path.relpath(page, path.parent)
        if path == site / "index.html":
            text = _with_overview(text, report, suites, link)
        else:
            parts = path.relative_to(site).parts
            suite = parts[1].removesuffix(".html")
            own = [check for check in report.checks if suites[check.id] == suite]
            text = _with_severities(text, own, link, seen=parts[0] == "validations")
        path.write_text(text, encoding="utf-8")


def _local(text: str, assets: str, name: str) -> str:
    """Return a page in which nothing is loaded from elsewhere."""
    title = f"<strong>{html.escape(name)}: data gate</strong>"
    text = REMOTE.sub(lambda found: title if found[0].startswith("<img") else "", text)
    text = REMOTE_IMAGE.sub("none", text)
    loaded = [f'<link rel="stylesheet" href="{assets}/{file}">' for file in STYLES]
    loaded += [f'<script src="{assets}/{file}"></script>' for file in SCRIPTS]
    # An empty icon, or the browser asks for /favicon.ico.
    head = ['<link rel="icon" href="data:,">', *loaded, NO_GRAPHS]
    return text.replace("<head>", "\n".join(["<head>", '<meta charset="UTF-8">', *head]), 1)


def _with_overview(text: str, report: DataReport, suites: Mapping[str, str], link: str) -> str:
    """Put the verdict and every check, the worst first, above the index."""
    rows = "".join(
        f"<tr><td>{_badge(check)}</td><td>{check.severity}</td>"
        f'<td><a href="expectations/{html.escape(suites[check.id])}.html">'
        f"{html.escape(check.id)}</a></td><td>{html.escape(check.sentence)}{_lines(check)}</td>"
        f"<td>{amounts.observed(check)}</td><td>{amounts.limit(check)}</td></tr>"
        for check in sorted(report.checks, key=amounts.order)
    )
    box = (
        f'<div class="dg-box"><h4>{html.escape(amounts.summary(report))}</h4>'
        f'<p><a href="{link}">The page with plots, failing rows and examples</a></p>'
        f"<table><tr><th>outcome</th><th>severity</th><th>check</th><th></th><th>observed</th>"
        f"<th>allowed</th></tr>{rows}</table></div>"
    )
    return re.sub(r'(<div class="col-md-10[^>]*>)', partial(_then, box), text, count=1)


def _with_severities(text: str, checks: Sequence[DataCheck], link: str, *, seen: bool) -> str:
    """Put a check's severity before its sentence and, where it was run, its lines behind it."""
    for check in checks:
        sentence = re.escape(check.sentence)
        escaped = re.escape(html.escape(check.sentence))
        more = (
            f'{_lines(check)}<div class="dg-lines"><a href="{link}">what stands in these rows</a></div>'
            if seen
            else ""
        )
        text = re.sub(
            rf"(<span[^>]*>\s*)(?:{escaped}|{sentence})(\s*</span>)",
            partial(_labelled, check, more if check.unexpected_count else ""),
            text,
        )
    return text


def _labelled(check: DataCheck, more: str, found: re.Match[str]) -> str:
    colour = COLOURS[check.severity]
    badge = f'<span class="dg" style="background:{colour}">{check.severity}</span>'
    return f"{found[1]}{badge} {html.escape(check.sentence)}{found[2]}{more}"


def _then(box: str, found: re.Match[str]) -> str:
    return found[0] + box


def _badge(check: DataCheck) -> str:
    word = amounts.outcome(check)
    colour = COLOURS[word]
    return f'<span class="dg" style="background:{colour}">{word}</span>'


def _lines(check: DataCheck) -> str:
    named = amounts.lines(check, LISTED_LINES)
    if not named:
        return ""
    return f'<div class="dg-lines">{check.unexpected_count:,} rows, lines {named}</div>'


def _icons() -> str:
    """Return the style of each icon: its drawing in its colour, inside the file itself."""
    rules = [
        ".fas { display: inline-block; width: 1em; height: 1em; background: no-repeat center / contain; }"
    ]
    for name, (file, colour) in ICONS.items():
        drawing = (ASSETS / file).read_text(encoding="utf-8")
        drawing = drawing.replace("<path ", f'<path fill="{colour}" ')
        code = base64.b64encode(drawing.encode()).decode()
        rules.append(f'.{name} {{ background-image: url("data:image/svg+xml;base64,{code}"); }}')
    return "\n".join(rules) + "\n"
