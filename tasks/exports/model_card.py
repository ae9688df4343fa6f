"""The model card: what a release is, how to load it, and the evidence for it.

Markdown with the Hub's YAML front matter. Every number comes from a record; every word that comes
from outside (names, reasons) is escaped. The code block runs as it stands, with torch, transformers
and peft alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import CostEstimate, General, MemoryEstimate, Review, Splits
from tasks.exports.lineage import Lineage, lineage_json
from tasks.exports.loading_code import loading_code
from tasks.reports.scorecard_markdown import scorecard_markdown
from tasks.reports.visible import escaped

__all__ = ["escaped", "model_card", "write_about"]

METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
KINDS = {
    "adapter": "a LoRA adapter; it needs its base model",
    "merged": "a whole model, the adapter merged into its base",
    "model": "a whole model, fully fine-tuned",
}


def model_card(line: Lineage) -> str:
    """Return the card of a release about to be placed."""
    sections = (
        _introduction(line),
        f"## How to load it\n\n```python\n{loading_code(line)}```\n",
        f"## Evaluation\n\n{scorecard_markdown(line.evidence.scorecard)}",
        _data(line),
        _method(line),
        _resources(line),
        _limitations(line),
        _checks(line),
    )
    return front_matter(line) + "\n" + "\n".join(sections)


def write_about(line: Lineage, hidden: Path, version: int) -> None:
    """Write release.json and the card; last, when the version is known."""
    registry = line.recipe.publish.registry.rstrip("/")
    line = line.model_copy(
        update={"version": version, "place": f"{registry}/{line.name}/v{version}"}
    )
    about = json.dumps(lineage_json(line), indent=1)
    (hidden / "release.json").write_text(about, encoding="utf-8")
    (hidden / "README.md").write_text(model_card(line), encoding="utf-8")


def front_matter(line: Lineage) -> str:
    """Return the YAML block the Hub reads."""
    adapter, labels = line.kind == "adapter", line.evidence.splits.labels
    fields: dict[str, Any] = {
        "base_model": line.base.name,
        "base_model_relation": "adapter" if adapter else "finetune",
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-classification" if labels else "text-generation",
        "tags": sorted({line.evidence.checkpoint.method, line.kind, "finetune-workflow"}),
        "metrics": [row.name for row in line.evidence.scorecard.metrics],
    }
    if line.recipe.publish.license is not None:
        fields["license"] = line.recipe.publish.license
    return f"---\n{yaml.safe_dump(fields, sort_keys=True, allow_unicode=True)}---\n"


def _introduction(line: Lineage) -> str:
    evidence = line.evidence
    method = METHODS[evidence.checkpoint.method]
    revision = f" at revision {line.base.revision}" if line.base.revision else ""
    license_line = ""
    if line.recipe.publish.license is None:
        license_line = "\nNo licence was stated; the base model's terms and the data's apply.\n"
    return (
        f"# {escaped(line.name)} v{line.version}\n\n"
        f"{method} of {escaped(line.base.name)}{revision} on {evidence.splits.train.rows:,} rows. "
        f"This is {KINDS[line.kind]}, in {evidence.checkpoint.dtype}.\n{_task(line)}{license_line}"
    )


def _task(line: Lineage) -> str:
    """Return what a classifier gives, and of which labels, in the order of its scores."""
    labels = line.evidence.splits.labels
    if not labels:
        return ""
    named = ", ".join(f"{at} {escaped(label.name)}" for at, label in enumerate(labels))
    return (
        f"\nSequence classification: a text gets one of {len(labels)} labels, by a head on its last "
        f"token ({named}). It writes no text.\n"
    )


def _data(line: Lineage) -> str:
    report, splits = line.evidence.report, line.evidence.splits
    rejected = [f"| rejected: {escaped(k)} | {n:,} |" for k, n in report.rejected.items()]
    sources = [
        f"- {escaped(source.path.rsplit('/', 1)[-1])}: {source.rows:,} rows, SHA-256 "
        f"`{source.sha256}`"
        for source in splits.sources
    ]
    lines = [
        "## Data",
        "",
        "| rows | |",
        "|---|---|",
        f"| in | {report.rows_in:,} |",
        *rejected,
        f"| out | {report.rows_out:,} |",
        (
            f"| train / validation / test | {splits.train.rows:,} / {splits.validation.rows:,} / "
            f"{splits.test.rows:,} |"
        ),
        "",
        *sources,
        "",
        (
            f"The data gate said **{report.verdict}**. Rows are of the form {escaped(splits.format)}; "
            f"at most {splits.max_length:,} tokens each."
        ),
        *_general(line.evidence.splits),
        *_reviews(report.reviews),
    ]
    return "\n".join(lines) + "\n"


def _general(splits: Splits) -> list[str]:
    """Return which rows from beside the data set were replayed, or stood for what must be kept."""
    told = []
    uses = {"replay": "replayed in training", "reference": "EWC's reference"}
    for name, use in uses.items():
        rows: General | None = getattr(splits, name)
        if rows is not None:
            files = ", ".join(
                f"{escaped(source.path.rsplit('/', 1)[-1])} (SHA-256 `{source.sha256}`)"
                for source in rows.sources
            )
            told.append(f"- {use}: {rows.split.rows:,} of {rows.available_rows:,} rows of {files}")
    return ["", "Rows from beside the data set, in none of its splits:", "", *told] if told else []


def _reviews(reviews: Sequence[Review]) -> list[str]:
    """Return what somebody decided about the data gate's findings."""
    told = [
        f"- {escaped(r.check)}: {'accepted' if r.decision == 'accept' else 'rejected'} by "
        f"{escaped(r.reviewer)} on {r.at[:10]}, {f'until {r.until}' if r.until else 'no last day'}: "
        f"{escaped(r.reason)}"
        for r in reviews
        if not r.void
    ]
    return ["", "Findings that were reviewed:", "", *told] if told else []


def _method(line: Lineage) -> str:
    choice = line.evidence.recommendation
    settings = {} if choice.hyperparameters is None else choice.hyperparameters.model_dump()
    settings["seed"] = line.evidence.checkpoint.seed
    for name in ("freeze", "ewc", "replay"):
        said = getattr(line.recipe, name)
        settings |= {} if said is None else _said(name, said.model_dump())
    recoveries = line.evidence.checkpoint.recoveries
    for changed in recoveries:  # what was trained with, not what was planned
        settings |= {key.rpartition(".")[2]: value for key, value in changed.settings.items()}
    rows = [
        f"| {escaped(k)} | {escaped(f'{v:g}' if isinstance(v, float) else str(v))} |"
        for k, v in settings.items()
        if v is not None
    ]
    reasons = [
        f"- {escaped(r.rule)}, {escaped(r.question)} {escaped(r.answer)}: argues for "
        f"{escaped(r.argues_for)} ({r.outcome})"
        for r in choice.reasons
    ]
    conflict = [f"\n**Conflict:** {escaped(choice.conflict)}"] if choice.conflict else []
    changes = [f"- after {r.cause}, changed: {escaped(r.sentence)}" for r in recoveries]
    table = ["| setting | value |", "|---|---|", *rows]
    lines = ["## Method", "", *table, "", *changes, *reasons, *conflict]
    return "\n".join(lines) + "\n"


def _said(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return what a section of the recipe says, without what it leaves out."""
    return {
        f"{name}.{key}": value for key, value in values.items() if value not in (None, (), False)
    }


def _resources(line: Lineage) -> str:
    choice, checkpoint = line.evidence.recommendation, line.evidence.checkpoint
    lines = [
        "## Memory and time",
        "",
        "| | estimated | measured |",
        "|---|---|---|",
        f"| peak memory | {_memory(choice.memory)} | {_gibibytes(checkpoint.peak_memory_bytes)} |",
        f"| training time | {_time(choice.cost)} | {checkpoint.wall_seconds:,.0f} s |",
        "",
        (
            f"Measured on {escaped(checkpoint.device)}: {checkpoint.steps:,} steps, "
            f"{checkpoint.tokens_per_second:,.0f} tokens/s, {checkpoint.trainable_parameters:,} of "
            f"{checkpoint.parameters:,} parameters trained."
        ),
    ]
    return "\n".join(lines) + "\n"


def _memory(estimate: MemoryEstimate | None) -> str:
    if estimate is None:
        return "not estimated"
    return f"{_gibibytes(estimate.low_bytes)} to {_gibibytes(estimate.high_bytes)}"


def _time(estimate: CostEstimate | None) -> str:
    if estimate is None:
        return "not estimated"
    return f"{estimate.low_seconds:,.0f} to {estimate.high_seconds:,.0f} s"


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


def _limitations(line: Lineage) -> str:
    evidence = line.evidence
    scored, test = evidence.scorecard.test_rows, evidence.splits.test.rows
    part = f"the first {scored:,} of {test:,}" if scored < test else f"{scored:,}"
    where = "of the test file" if line.recipe.dataset.test_path else "split off the training file"
    notes = [
        f"- Scored on {part} rows {where}; other inputs were not tried.",
        "- What the base model could do before and may have forgotten was not measured.",
        "- Safety and bias were not assessed.",
    ]
    if evidence.checkpoint.method == "qlora" and line.kind == "adapter":
        notes.append(
            "- The adapter belongs to the 4-bit base loaded as above; on the original weights it "
            "is another, unevaluated model."
        )
    if evidence.checkpoint.method == "qlora" and line.kind == "merged":
        notes.append("- Merged into the dequantized 4-bit base, the model that was evaluated.")
    undecided = [g.name for g in evidence.scorecard.gates if g.verdict == "undecided"]
    if undecided:
        notes.append(f"- Published although undecided: {', '.join(undecided)}.")
    return "\n".join(["## Limitations", "", *notes]) + "\n"


def _checks(line: Lineage) -> str:
    reload = line.checks.get("reload")
    of = "texts" if line.evidence.splits.labels else "tokens"
    told = (
        f"Read back from disk, its logits over {reload['tokens']} {of} differ from the evaluated "
        f"model's by {reload['relative_error']:.1e} (relative), KL {reload['kl_nats']:.1e} nats, "
        f"same first {'label' if of == 'texts' else 'token'} {reload['top1']:.1%}."
        if reload
        else "Its logits were not compared with the evaluated model's (publish.verify_merge)."
    )
    files = [f"| {escaped(name)} | `{sha}` |" for name, sha in line.files.items()]
    lines = ["## Checksums", "", told, "", "| file | SHA-256 |", "|---|---|", *files]
    return "\n".join(lines) + "\n"
