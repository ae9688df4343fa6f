"""Which rows stay and in which split: duplicates, overlong rows, splits by hash, leaks, conflicts.

Everything works on keys and counts; no text is needed. A reason is added, never taken away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tasks.errors import DataError
from tasks.profile.keys import split_of
from tasks.profile.rows import DataFile, RowProfile
from tasks.recipe import DatasetSection

__all__ = ["check_not_empty", "divide", "mark_conflicts", "mark_duplicates", "mark_leaks"]

SPLITS = ("train", "validation", "test")


def mark_duplicates(rows: Iterable[RowProfile]) -> None:
    """Give `duplicate` to each row whose whole content an earlier row of its file has."""
    seen: set[tuple[str, bytes]] = set()
    for row in rows:
        if not row.prompt:
            continue
        key = (row.file.key, row.prompt + row.answer)
        if key in seen:
            row.reasons.append("duplicate")
        seen.add(key)


def divide(rows: Iterable[RowProfile], dataset: DatasetSection) -> None:
    """Give each whole row its split: its file's own, else by the hash of its prompt.

    A split that has a file of its own takes no share of the others.
    """
    rows = list(rows)
    own = {row.file.split for row in rows}
    has_own = {"validation": dataset.validation_path, "test": dataset.test_path}
    validation_size, test_size = (
        0.0 if split in own or path else getattr(dataset, f"{split}_size")
        for split, path in has_own.items()
    )
    for row in rows:
        if row.prompt:
            row.split = row.file.split or split_of(  # ty: ignore[invalid-assignment]
                row.prompt, validation_size=validation_size, test_size=test_size
            )


def mark_leaks(rows: Sequence[RowProfile]) -> None:
    """Give `leaks_into_...` to rows whose prompt also stands in a split that judges them.

    The test row stays and the train row goes; so does a validation row that stands in test, for
    selection would see the test set.
    """
    test = {row.prompt for row in rows if row.split == "test" and row.kept}
    for row in rows:
        if row.split in ("train", "validation") and row.prompt in test:
            row.reasons.append("leaks_into_test")
    validation = {row.prompt for row in rows if row.split == "validation" and row.kept}
    for row in rows:
        if row.split == "train" and row.prompt in validation:
            row.reasons.append("leaks_into_validation")


def mark_conflicts(rows: Iterable[RowProfile]) -> None:
    """Mark kept rows whose prompt has different answers; which one is learned is left to chance."""
    by_prompt: dict[bytes, list[RowProfile]] = defaultdict(list)
    for row in rows:
        if row.kept:
            by_prompt[row.prompt].append(row)
    for alike in by_prompt.values():
        if len({row.answer for row in alike}) > 1:
            for row in alike:
                row.conflict = True


def check_not_empty(
    rows: Sequence[RowProfile], files: Sequence[DataFile], dataset: DatasetSection
) -> None:
    """Refuse a data set of which a split has no row left.

    Raises:
        DataError: A split is empty; the message says why and what to do.
    """
    kept = Counter(row.split for row in rows if row.kept)
    if not kept:
        raise DataError(
            f"{dataset.path}: no row is left of {len(rows)}: {_reasons(rows)}. Mend the file, or "
            "name its columns in dataset.columns."
        )
    for split in SPLITS:
        if not kept[split]:
            raise DataError(_empty(split, rows, files, dataset))


def _empty(
    split: str, rows: Sequence[RowProfile], files: Sequence[DataFile], dataset: DatasetSection
) -> str:
    own = next((file for file in files if file.split == split), None)
    if own is not None:
        lost = [row for row in rows if row.file is own]
        return (
            f"{own.key}: {own.path.name}: no row is left of {len(lost)}"
            + (f": {_reasons(lost)}" if lost else "")
            + f". Mend it, or leave the key out to split {split} off dataset.path."
        )
    whole = [row for row in rows if row.file.split is None]
    left = sum(row.kept for row in whole)
    if split == "train":
        lost = [row for row in whole if row.split == "train"]
        why = f" ({_reasons(lost)})" if any(row.reasons for row in lost) else ""
        return (
            f"{dataset.path}: train would be empty: {left} rows are left of {len(whole)}{why}. "
            "Add rows, or lower dataset.validation_size and dataset.test_size."
        )
    size = getattr(dataset, f"{split}_size")
    return (
        f"dataset.{split}_size = {size:g}: {split} would be empty: none of the {left} rows left "
        f"falls in that share. Raise it, add rows, or give dataset.{split}_path."
    )


def _reasons(rows: Iterable[RowProfile]) -> str:
    """Return "120 wrong_type (first: data.jsonl:1), ..." for the rejected ones of these rows."""
    first: dict[str, RowProfile] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        if row.reasons:
            counts[row.first_reason] += 1
            first.setdefault(row.first_reason, row)
    return ", ".join(
        f"{count} {reason} (first: {first[reason].file.source}:{first[reason].line})"
        for reason, count in counts.most_common()
    )
