"""General rows: what a model must not forget, read beside the data set, for `replay` and `ewc`.

They are read, shaped and encoded as the data set's own rows are. A row is left out that is no
example, is longer than `max_length`, repeats another, or asks what a validation or test row asks.
Of the rest the wanted number is drawn by a hash of the seed and the row, so that the same rows are
drawn whatever order they stand in.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import General, Source, Split, Splits
from tasks.encoding import Encoder
from tasks.errors import DataError, RecipeError
from tasks.profile.assembling import data_files
from tasks.profile.keys import content_key, prompt_key
from tasks.profile.measuring import rows_of, sample_of
from tasks.profile.mixing import choose_shapes
from tasks.readers.general import general_sections
from tasks.recipe import DatasetSection, Recipe
from tasks.run_folder import file_sha256

__all__ = ["add_general"]

Row = dict[str, Any]


def add_general(recipe: Recipe, splits: Splits, tokenizer: Any, folder: Path) -> Splits:  # noqa: ANN401
    """Return the splits with the general rows that the recipe asks for, written to `folder`.

    Raises:
        DataError: A file cannot be read, or holds fewer good rows than are wanted.
    """
    judged = set(_judged(splits, folder))
    wanted = {}
    if recipe.replay is not None:
        wanted["replay.path"] = ("replay", recipe.replay.rows_beside(splits.train.rows))
    if recipe.ewc is not None:
        wanted["ewc.reference"] = ("reference", recipe.ewc.samples)
    found: dict[str, General] = {}
    for key, section in general_sections(recipe).items():
        name, rows = wanted[key]
        drawing = _Drawing(name, key, section, rows, recipe.training.seed)
        found[name] = drawing.draw(splits.max_length, tokenizer, judged, folder)
    return splits.model_copy(update=found)


@dataclass(frozen=True)
class _Drawing:
    """What is drawn, for which key of the recipe."""

    name: str
    key: str
    section: DatasetSection
    wanted: int
    seed: int

    def draw(
        self,
        max_length: int,
        tokenizer: Any,  # noqa: ANN401 - a tokenizer
        judged: set[bytes],
        folder: Path,
    ) -> General:
        section = self.section
        files = [file for file in data_files(section) if file.split is None]
        try:
            shape = choose_shapes(
                section, files, sample_of, has_template=bool(tokenizer.chat_template)
            )
            encoder = Encoder(tokenizer, section, shape.row_type)
        except (DataError, RecipeError) as error:
            raise type(error)(f"{self.key}: {error}") from None
        left_out: Counter[str] = Counter()
        rows: dict[bytes, tuple[Row, int, int]] = {}
        counts = []
        for number, file in enumerate(files):
            read = 0
            for raw in rows_of(file):
                read += 1
                row = None if raw.problem else shape.to_canonical(raw.raw, number)[0]
                why, tokens, learned = _measured(row, encoder, max_length, judged)
                if row is not None and not why and (key := content_key(row)) not in rows:
                    rows[key] = ({**row, "source": file.source, "line": raw.line}, tokens, learned)
                else:
                    left_out[why or "duplicate"] += 1
            counts.append(read)
        return General(
            split=self._written(rows, left_out, folder),
            row_type=shape.row_type,
            sources=tuple(
                Source(path=str(file.path), sha256=file_sha256(file.path), rows=count)
                for file, count in zip(files, counts, strict=True)
            ),
            available_rows=len(rows),
            left_out=dict(sorted(left_out.items())),
        )

    def _written(
        self, rows: dict[bytes, tuple[Row, int, int]], left_out: Counter[str], folder: Path
    ) -> Split:
        if len(rows) < self.wanted:
            raise DataError(self._too_few(len(rows), left_out))
        salt = f"{self.seed} ".encode()
        order = sorted(rows, key=lambda key: hashlib.sha256(salt + key).digest())
        drawn = [rows[key] for key in order[: self.wanted]]
        path = folder / f"{self.name}.jsonl"
        lines = "".join(json.dumps(row) + "\n" for row, _, _ in drawn)
        path.write_text(lines, encoding="utf-8")
        return Split(
            path=f"{folder.name}/{path.name}",
            rows=len(drawn),
            sha256=file_sha256(path),
            tokens=sum(tokens for _, tokens, _ in drawn),
            loss_tokens=sum(learned for _, _, learned in drawn),
        )

    def _too_few(self, there: int, left_out: Counter[str]) -> str:
        lost = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
        mend = {
            "replay": "Lower replay.fraction, or name a larger set in replay.path.",
            "reference": "Lower ewc.samples, or name a larger set in ewc.reference.",
        }
        told = f"{self.key}: {self.wanted:,} rows are wanted, {self.section.path} has {there:,} that can be used"
        return f"{told}{f' (left out: {lost})' if lost else ''}. {mend[self.name]}"


def _measured(
    row: Row | None, encoder: Encoder, max_length: int, judged: set[bytes]
) -> tuple[str, int, int]:
    """Return why a row is left out, or nothing, and its tokens and learned tokens."""
    if row is None:
        return "no example", 0, 0
    if prompt_key(row) in judged:
        return "in a judging split", 0, 0
    try:
        encoded = encoder.encode(row)
    except ValueError:
        return "no example", 0, 0
    if len(encoded.input_ids) > max_length:
        return "overlength", 0, 0
    learned = sum(encoded.loss_mask)
    return ("" if learned else "no example"), len(encoded.input_ids), learned


def _judged(splits: Splits, folder: Path) -> Iterator[bytes]:
    """Yield the prompts of the splits that judge."""
    for split in (splits.validation, splits.test):
        with (folder.parent / split.path).open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield prompt_key(row)
