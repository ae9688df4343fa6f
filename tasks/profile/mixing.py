"""Mixtures: a shape for each source, and how many of its rows are drawn.

`weight` is a share of the mixture, as TRL's `fraction`: weights are put in proportion, and the
largest mixture that repeats no row is drawn. With 900 rows of weight 1 and 500 of weight 3 that is
167 and 500. Whether a row is drawn depends on its content alone, so neither order nor new rows
change it for the others while the share stays.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tasks.errors import DataError, RecipeError
from tasks.profile.reading import read_rows
from tasks.profile.rows import DataFile
from tasks.profile.shapes import Row, Shape, choose_shape
from tasks.readers.raw import RawRow
from tasks.recipe import DatasetSection

__all__ = ["choose_shapes", "is_drawn", "with_shares"]

#: Keeps the draw apart from the split, which is by a hash as well.
SALT = b"drawn for a mixture"


def with_shares(files: Sequence[DataFile], dataset: DatasetSection) -> list[DataFile]:
    """Return the files, each with the share of its rows that its source's weight asks for.

    Raises:
        RecipeError: Some sources of the mixture have a weight and others have none.
        DataError: A weighted source has no row.
    """
    if isinstance(dataset.path, str):
        return list(files)
    weights = [each.weight for each in dataset.path]
    given = [weight for weight in weights if weight is not None]
    if not given:
        return list(files)
    if len(given) < len(weights):
        missing = next(i for i, weight in enumerate(weights) if weight is None)
        raise RecipeError(
            f"dataset.path.{missing}.weight: is missing: other sources have one. Give every source "
            "a weight, or none (then all rows of all are used)."
        )
    rows: Counter[int] = Counter()
    for file in files:
        if file.split is None:
            rows[file.part] += sum(1 for _row in read_rows(file.path, file.column_names))
    for part, source in enumerate(dataset.path):
        if not rows[part]:
            raise DataError(f"dataset.path.{part}: {source.path}: has no row to draw from.")
    total = min(rows[part] / weight for part, weight in enumerate(given))
    shares = [weight * total / rows[part] for part, weight in enumerate(given)]
    return [
        replace(file, share=shares[file.part]) if file.split is None else file for file in files
    ]


def is_drawn(row: RawRow, share: float) -> bool:
    """Say whether a row is among that share of its source's rows."""
    if share >= 1:
        return True
    text = json.dumps(row.raw, sort_keys=True, default=str).encode()
    digest = hashlib.blake2b(text, digest_size=8, key=SALT).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def choose_shapes(
    dataset: DatasetSection,
    files: Sequence[DataFile],
    sample_of: Callable[[DataFile], list[Row]],
    *,
    has_template: bool,
    labelled: bool = False,
) -> Shape:
    """Return the shape of the rows; of a mixture, with the shape of each file as its parts.

    Args:
        dataset: The recipe's section.
        files: The files, of which `part` says to which source each belongs.
        sample_of: Reads the first readable rows of a file.
        has_template: Whether the tokenizer has a chat template.
        labelled: Rows are texts with labels, for a classification head.

    Raises:
        DataError: A source has no format that fits, or raw text is mixed with prompts and answers.
        RecipeError: `columns` names a column that the format does not have.
    """
    sections = dataset.sections()
    shapes = [
        choose_shape(
            section,
            _sample(part, files, sample_of),
            has_template=has_template,
            labelled=labelled,
        )
        for part, section in enumerate(sections)
    ]
    if len(shapes) == 1:
        return shapes[0]
    types = {shape.row_type for shape in shapes}
    if "text" in types and len(types) > 1:
        kinds = "; ".join(
            f"{s.path}: {shape.format}" for s, shape in zip(sections, shapes, strict=True)
        )
        raise DataError(
            f"dataset.path: raw text has no prompt and cannot be mixed with rows that have one "
            f"({kinds}). Train it in a run of its own, or set dataset.format: text for all."
        )
    # Pairs are one turn each where other sources are chats.
    row_type = types.pop() if len(types) == 1 else "messages"
    shapes = [replace(shape, row_type=row_type) for shape in shapes]
    return _mixture(sections, files, shapes)


def _mixture(
    sections: Sequence[DatasetSection], files: Sequence[DataFile], shapes: Sequence[Shape]
) -> Shape:
    """Return the shapes of all sources as the parts of one, which says what is drawn of each."""
    told = []
    for part, (section, shape) in enumerate(zip(sections, shapes, strict=True)):
        share = next((file.share for file in files if file.part == part), 1)
        drawn = f" ({share:.0%} of its rows, drawn by content)" if share < 1 else ""
        told.append(f"{section.path}{drawn}: {shape.reason}")
    return Shape(
        " + ".join(dict.fromkeys(shape.format for shape in shapes)),
        f"a mixture of {len(shapes)}: {' '.join(told)}",
        shapes[0].row_type,
        {},
        parts=tuple(shapes[file.part] for file in files),
    )


def _sample(
    part: int, files: Sequence[DataFile], sample_of: Callable[[DataFile], list[Row]]
) -> list[Row]:
    """Return the first rows of a source's own files."""
    for file in files:
        if file.part == part and file.split is None and (sample := sample_of(file)):
            return sample
    return []
