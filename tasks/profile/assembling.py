"""From files to splits: the order of the two readings and of the decisions between them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import Source, Splits
from tasks.encoding import Encoder
from tasks.errors import DataError
from tasks.profile import lengths, splitting, writing
from tasks.profile.examples import write_examples
from tasks.profile.measuring import Meter, end_tokens, measure, rows_of, survey
from tasks.profile.privacy import as_trained, check_private
from tasks.profile.rows import DataFile, RowProfile
from tasks.profile.shapes import Shape, choose_shape
from tasks.readers.sources import find_sources
from tasks.recipe import DatasetSection
from tasks.run_folder import file_sha256, text_sha256

__all__ = ["Assembler", "data_files"]

PROGRESS_SECONDS = 1.0


def data_files(dataset: DatasetSection) -> list[DataFile]:
    """Return the files the recipe names, each with the name it has in records.

    Raises:
        DataError: One of them is missing or of an unknown kind.
    """
    return [
        DataFile(
            key=file.key,
            path=file.path,
            source=file.name,
            split=file.split,
            limit=dataset.max_rows if file.split is None else None,
            column_names=file.column_names,
        )
        for file in find_sources(dataset)
    ]


@dataclass(frozen=True)
class Assembler:
    """Prepares one data set with one tokenizer into one folder.

    `positions` are the model's (None: unknown); `model_folder` is where the base model lies.
    """

    dataset: DatasetSection
    tokenizer: Any
    model_folder: Path
    positions: int | None
    progress: Callable[[dict[str, Any]], None]

    def assemble(self, folder: Path) -> Splits:
        """Read, measure, decide, write; return the record.

        Raises:
            DataError: A file cannot be read, no format fits, a split is empty, or it changed.
            RecipeError: `max_length` is beyond the model, or `columns` names an unknown column.
        """
        lengths.check_max_length(self.dataset, self.positions)
        files = data_files(self.dataset)
        hashes = [file_sha256(file.path) for file in files]
        surveys = [survey(file) for file in files]
        shape = choose_shape(
            self.dataset, surveys[0][1], has_template=bool(self.tokenizer.chat_template)
        )
        encoder = Encoder(self.tokenizer, self.dataset, shape.row_type)
        meter = Meter(encoder, end_tokens(self.tokenizer, self.model_folder))
        total = sum(rows for rows, _sample in surveys)
        rows = measure(files, shape, meter, self._teller("measured", total))
        max_length, why = self._decide(files, rows, shape, meter)
        writing.write_rows(folder, files, shape, rows, self._teller("written", total))
        writing.write_profile(folder / "profile.parquet", rows)
        write_examples(folder / "examples.json", folder / "train.jsonl", encoder, max_length)
        if hashes != [file_sha256(file.path) for file in files]:
            raise DataError(f"{self.dataset.path}: changed while it was being read. Run again.")
        sources = tuple(
            Source(path=str(file.path), sha256=digest, rows=count)
            for file, digest, (count, _sample) in zip(files, hashes, surveys, strict=True)
        )
        return self._record(folder, sources, shape, encoder, (rows, max_length, why))

    def _decide(
        self,
        files: Sequence[DataFile],
        rows: Sequence[RowProfile],
        shape: Shape,
        meter: Meter,
    ) -> tuple[int, str]:
        """Give every row its reasons and its split; return max_length and why."""
        check_private(rows, self.dataset)
        splitting.mark_duplicates(rows)
        whole = [row.tokens for row in rows if row.kept]
        if not whole:
            splitting.check_not_empty(rows, files, self.dataset)
        max_length, why = lengths.choose_max_length(self.dataset, whole, self.positions)
        overlong = [row for row in rows if row.kept and row.tokens > max_length]
        if overlong and self.dataset.on_overlength == "raise":
            raise lengths.overlength_error(overlong, max_length)
        if self.dataset.on_overlength == "truncate":
            self._cut(files, rows, shape, meter, max_length)
        else:
            for row in overlong:
                row.reasons.append("overlength")
        splitting.divide(rows, self.dataset)
        splitting.mark_leaks(rows)
        splitting.mark_conflicts(rows)
        splitting.check_not_empty(rows, files, self.dataset)
        return max_length, why

    def _cut(
        self,
        files: Sequence[DataFile],
        rows: Sequence[RowProfile],
        shape: Shape,
        meter: Meter,
        max_length: int,
    ) -> None:
        """Count overlong rows again as training will see them; only their texts are needed."""
        raws = (raw for file in files for raw in rows_of(file))
        for row, raw in zip(rows, raws, strict=True):
            if row.kept and row.tokens > max_length:
                canonical, _reasons = shape.to_canonical(raw.raw)
                assert canonical is not None
                meter.cut(row, as_trained(row, canonical), max_length)

    def _record(
        self,
        folder: Path,
        sources: tuple[Source, ...],
        shape: Shape,
        encoder: Encoder,
        decided: tuple[Sequence[RowProfile], int, str],
    ) -> Splits:
        rows, max_length, why = decided
        kept = [row for row in rows if row.kept]
        splits = {name: writing.split_record(folder, name, rows) for name in splitting.SPLITS}
        return Splits(
            format=shape.format,
            format_reason=shape.reason,
            row_type=shape.row_type,
            sources=sources,
            rows_in=len(rows),
            rejected=dict(Counter(row.first_reason for row in rows if row.reasons).most_common()),
            rejected_path=f"{folder.name}/rejected.jsonl",
            profile_path=f"{folder.name}/profile.parquet",
            max_length=max_length,
            max_length_reason=why,
            longest_answer_tokens=max((row.answer_tokens for row in kept), default=0),
            token_percentiles=lengths.percentiles(kept),
            checkable=shape.row_type != "text" and lengths.checkable(kept),
            template=encoder.template_origin,
            template_sha256=text_sha256(encoder.template or ""),
            **splits,
        )

    def _teller(self, what: str, total: int) -> Callable[[int], None]:
        last = 0.0

        def tell(done: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_SECONDS:
                last = time.monotonic()
                event = {"event": "progress", "stage": "prepare", "done": done, "total": total}
                self.progress({**event, "text": f"{done:,} of {total:,} rows {what}"})

        return tell
