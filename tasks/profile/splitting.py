"""Which rows stay and in which split: duplicates, splits by hash, leaks, conflicts.

Everything works on columns of numbers; no text is needed. What is found about a row is kept, also
where the recipe's policy does not reject it for that. Nothing depends on the order of the rows,
save which of several rows with the very same text stands for them.
"""

from __future__ import annotations

import numpy
from numpy import ndarray

from tasks.errors import DataError
from tasks.profile.near import groups_of
from tasks.profile.rows import REASONS, SPLITS, STRUCTURE, Table
from tasks.recipe import DatasetSection

__all__ = ["check_not_empty", "divide", "mark_conflicts", "mark_duplicates", "mark_leaks",
           "mark_near_duplicates", "refuse_invalid"]  # fmt: skip

#: How many rows an error names.
NAMED_ROWS = 10

TRAIN, VALIDATION, TEST = range(3)


def refuse_invalid(table: Table, dataset: DatasetSection) -> None:
    """Refuse rows that are no examples at all, under `on_invalid: raise`.

    Raises:
        DataError: There is such a row.
    """
    broken = table.has(*STRUCTURE, "empty_answer", "no_loss_tokens")
    if dataset.on_invalid == "raise" and broken.any():
        mend = "Mend them, or set quarantine to go on without them."
        raise _refusal("on_invalid", "are no examples", table, broken, mend)


def mark_duplicates(table: Table, dataset: DatasetSection) -> None:
    """Mark each row whose content another row has that goes to the same split.

    The one with the smallest content hash stays: see tasks/profile/keys.py.
    """
    rows, own = table.rows, _own_splits(table)
    whole = numpy.flatnonzero(rows["whole"])
    columns = [rows[name][whole] for name in ("content", "answer", "prompt")]
    order = whole[numpy.lexsort([*columns, own[whole]])]
    same = [values[order[1:]] == values[order[:-1]] for values in (rows["prompt"], rows["answer"])]
    repeats = order[1:][same[0] & same[1] & (own[order[1:]] == own[order[:-1]])]
    _apply("duplicate", dataset.on_duplicate, "on_duplicate", table, repeats)


def divide(table: Table, dataset: DatasetSection, assigned: ndarray) -> None:
    """Give each whole row its split: its file's own, else by the hash of its prompt.

    Rows with the same prompt or almost the same wording fall together: the smallest prompt hash of
    them decides. A split that has a file of its own takes no share of the others. `assigned` holds
    splits from an earlier preparation, -1 for a new row: they stay, a new row joins the others of
    its wording, and one that would join a judging split is rejected, for it `bridges_splits`.
    """
    given = {file.split for file in table.files}
    validation_size = 0.0 if "validation" in given else dataset.validation_size
    test_size = 0.0 if "test" in given else dataset.test_size
    own, prompt = _own_splits(table), table.rows["prompt"]
    by_hash = numpy.flatnonzero(table.rows["whole"] & (own < 0))
    group = groups_of(table.cluster, prompt, by_hash)
    smallest = numpy.full(len(table), numpy.iinfo(numpy.uint64).max, numpy.uint64)
    numpy.minimum.at(smallest, group[by_hash], prompt[by_hash])
    share = (smallest[group] >> numpy.uint64(8)) / 2.0**56
    bounds = [test_size, test_size + validation_size]
    table.split = numpy.array([TEST, VALIDATION, TRAIN])[
        numpy.searchsorted(bounds, share, side="right")
    ].astype(numpy.int8)
    table.split = numpy.where(own >= 0, own, table.split)
    table.split[~table.rows["whole"]] = -1
    _keep_assigned(table, group, by_hash, assigned)


def _keep_assigned(table: Table, group: ndarray, rows: ndarray, assigned: ndarray) -> None:
    old = rows[assigned[rows] >= 0]
    table.split[old] = assigned[old]
    judging = numpy.zeros(len(table), bool)
    judging[group[old[assigned[old] != TRAIN]]] = True
    learning = numpy.zeros(len(table), bool)
    learning[group[old]] = True
    new = rows[assigned[rows] < 0]
    table.split[new[learning[group[new]]]] = TRAIN
    table.mark("bridges_splits", new[judging[group[new]]], reject=True)


def mark_leaks(table: Table, dataset: DatasetSection) -> None:
    """Mark rows whose prompt or wording also stands in a split that judges them.

    The test row stays and the train row goes; so does a validation row that stands in test, for
    selection would see the test set.
    """
    own = _own_splits(table)
    for split in ("test", "validation"):
        judges = table.is_in(split)
        judged = table.rows["whole"] & (table.split >= 0) & (table.split < SPLITS.index(split))
        prompt, cluster = table.rows["prompt"], table.cluster
        leaks = judged & numpy.isin(prompt, prompt[judges])
        # Split by hash, rows of one wording are together; only a file of its own brings more.
        near = judged & numpy.isin(cluster, cluster[judges & (own >= 0)])
        for word, which in (("leaks", leaks), ("near_leaks", near & ~leaks & table.kept)):
            where = numpy.flatnonzero(which)
            _apply(f"{word}_into_{split}", dataset.on_leakage, "on_leakage", table, where)


def mark_near_duplicates(table: Table, dataset: DatasetSection) -> None:
    """Mark kept rows whose wording another row of their split has, but for the one that stays."""
    kept = numpy.flatnonzero(table.kept)
    content, cluster, split = table.rows["content"], table.cluster, table.split
    order = kept[numpy.lexsort([content[kept], cluster[kept], split[kept]])]
    first, second = order[:-1], order[1:]
    same = (cluster[first] == cluster[second]) & (split[first] == split[second])
    # Rows with the very same words are duplicates if both are kept: that was decided before.
    same &= ~(table.has("duplicate")[second])
    policy = dataset.on_near_duplicate
    _apply("near_duplicate", policy, "on_near_duplicate", table, second[same])


def mark_conflicts(table: Table, dataset: DatasetSection) -> None:
    """Mark kept rows whose prompt has different answers; which one is learned is left to chance."""
    rows = table.rows
    kept = numpy.flatnonzero(table.kept)
    order = kept[numpy.lexsort([rows["answer"][kept], rows["prompt"][kept]])]
    prompt, answer = rows["prompt"][order], rows["answer"][order]
    differ = (prompt[1:] == prompt[:-1]) & (answer[1:] != answer[:-1])
    which = kept[numpy.isin(rows["prompt"][kept], prompt[1:][differ])]
    _apply("conflict", dataset.on_conflict, "on_conflict", table, which)


def _apply(word: str, policy: str, key: str, table: Table, which: ndarray) -> None:
    """Mark rows as the policy says: raise, drop, or keep.

    Raises:
        DataError: There are such rows and the policy is to raise.
    """
    table.mark(word, which, reject=policy == "drop")
    if policy == "raise" and len(which):
        what = {
            "duplicate": "repeat another",
            "near_duplicate": "say almost the same as another",
            "conflict": "have the prompt of another but not its answer",
        }.get(word, f"stand in a split that judges them ({word})")
        raise _refusal(key, what, table, which, "Mend them, or set drop or keep.")


def _refusal(key: str, what: str, table: Table, which: ndarray, mend: str) -> DataError:
    """Return the error of a policy `raise`, which names the first rows."""
    rows = numpy.flatnonzero(which) if which.dtype == bool else numpy.sort(which)
    shown = ", ".join(table.place(row) for row in rows[:NAMED_ROWS].tolist())
    more = f" and {len(rows) - NAMED_ROWS:,} more" if len(rows) > NAMED_ROWS else ""
    return DataError(f"dataset.{key} = raise: {len(rows):,} rows {what}: {shown}{more}. {mend}")


def _own_splits(table: Table) -> ndarray:
    """Return the split of each row's file, -1 where it is by hash."""
    splits = [-1 if file.split is None else SPLITS.index(file.split) for file in table.files]
    return numpy.array(splits, numpy.int8)[table.rows["file"]]


def check_not_empty(table: Table, dataset: DatasetSection) -> None:
    """Refuse a data set of which a split has no row left.

    Raises:
        DataError: A split is empty; the message says why and what to do.
    """
    if not table.kept.any():
        raise DataError(
            f"{dataset.path}: no row is left of {len(table)}: {_reasons(table)}. Mend the file, "
            "or name its columns in dataset.columns."
        )
    for split in SPLITS:
        if not table.is_in(split).any():
            raise DataError(_empty(split, table, dataset))


def _empty(split: str, table: Table, dataset: DatasetSection) -> str:
    file = next((file for file in table.files if file.split == split), None)
    if file is not None:
        lost = _own_splits(table) == SPLITS.index(file.split)
        return (
            f"{file.key}: {file.path.name}: no row is left of {lost.sum()}"
            + (f": {_reasons(table, lost)}" if lost.any() else "")
            + f". Mend it, or leave the key out to split {split} off dataset.path."
        )
    whole = _own_splits(table) < 0
    left = (whole & table.kept).sum()
    if split == "train":
        lost = whole & (table.split == TRAIN)
        why = f" ({_reasons(table, lost)})" if not table.kept[lost].all() else ""
        return (
            f"{dataset.path}: train would be empty: {left} rows are left of {whole.sum()}{why}. "
            "Add rows, or lower dataset.validation_size and dataset.test_size."
        )
    size = getattr(dataset, f"{split}_size")
    return (
        f"dataset.{split}_size = {size:g}: {split} would be empty: none of the {left} rows left "
        f"falls in that share. Raise it, add rows, or give dataset.{split}_path."
    )


def _reasons(table: Table, which: ndarray | None = None) -> str:
    """Return "120 wrong_type (first: data.jsonl:1), ..." for the rejected ones of these rows."""
    rows = numpy.arange(len(table)) if which is None else numpy.flatnonzero(which)
    first = table.first_reason()[rows]
    counts = table.counts(rows)
    places = {
        word: table.place(int(rows[numpy.argmax(first == REASONS.index(word))])) for word in counts
    }
    return ", ".join(f"{count} {word} (first: {places[word]})" for word, count in counts.items())
