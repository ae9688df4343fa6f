"""From files to splits: the order of the two readings and of the decisions between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from tasks.contracts import Source, Splits
from tasks.encoding import Encoder
from tasks.errors import DataError
from tasks.profile import lengths, splitting, writing
from tasks.profile.examples import write_examples
from tasks.profile.labels import labels_of
from tasks.profile.measuring import Meter, end_tokens, rows_of, sample_of
from tasks.profile.mixing import choose_shapes, with_shares
from tasks.profile.near import find_clusters
from tasks.profile.overlap import overlap_with
from tasks.profile.pooling import measure_all
from tasks.profile.privacy import check_private
from tasks.profile.remembering import Assignments, Remembered
from tasks.profile.rows import SPLITS, DataFile, Table
from tasks.profile.shapes import Shape
from tasks.profile.shingles import Texts
from tasks.profile.special_tokens import check_special
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
            key=f"dataset.{file.split}_path" if file.split else "dataset.path",
            path=file.path,
            source=file.name,
            split=file.split,
            limit=dataset.max_rows if file.split is None else None,
            column_names=file.column_names,
            part=file.source,
        )
        for file in find_sources(dataset)
    ]


@dataclass(frozen=True)
class Assembler:
    """Prepares one data set with one tokenizer into one folder.

    `positions` are the model's (None: unknown); `model_folder` is where the base model lies;
    `remembered` is a folder in which what was measured is kept for the next time. `labelled`: rows
    are texts with labels, for a classification head.
    """

    dataset: DatasetSection
    tokenizer: Any
    model_folder: Path
    positions: int | None
    progress: Callable[[dict[str, Any]], None]
    remembered: Path
    labelled: bool = False

    def assemble(self, folder: Path) -> Splits:
        """Read, measure, decide, write; return the record.

        Raises:
            DataError: A file cannot be read, no format fits, a split is empty, or it changed.
            RecipeError: `max_length` is beyond the model, or `columns` names an unknown column.
        """
        lengths.check_max_length(self.dataset, self.positions)
        files = with_shares(data_files(self.dataset), self.dataset)
        hashes = [file_sha256(file.path) for file in files]
        shape = choose_shapes(
            self.dataset,
            files,
            sample_of,
            has_template=bool(self.tokenizer.chat_template),
            labelled=self.labelled,
        )
        encoder = Encoder(self.tokenizer, self.dataset, shape.row_type)
        known = Remembered(self._place("rows", shape, encoder.template, self._policies()))
        meter = Meter(shape, encoder, end_tokens(self.tokenizer, self.model_folder), known)
        words = folder / "words"
        rows, offsets = measure_all(files, meter, words, self._teller("measured"))
        known.replace(rows[rows["whole"]])
        table = Table(files, rows)
        max_length, why = self._decide(table, meter, Texts.of(rows, words, offsets))
        words.unlink()
        self._assignments(shape).replace(table)
        written = self._teller("written", len(table))
        writing.write_rows(folder, meter, table, written)
        writing.write_profile(folder / "profile.parquet", table)
        write_examples(folder / "examples.json", folder / "train.jsonl", encoder, max_length)
        if hashes != [file_sha256(file.path) for file in files]:
            raise DataError(f"{self.dataset.path}: changed while it was being read. Run again.")
        return self._record(folder, hashes, encoder, (shape, table, max_length, why))

    def _decide(self, table: Table, meter: Meter, texts: Texts) -> tuple[int, str]:
        """Give every row its reasons and its split; return max_length and why."""
        splitting.refuse_invalid(table, self.dataset)
        check_private(table, self.dataset)
        check_special(table, self.dataset)
        splitting.mark_duplicates(table, self.dataset)
        if not table.kept.any():
            splitting.check_not_empty(table, self.dataset)
        lengths_kept = table.rows["tokens"][table.kept]
        max_length, why = lengths.choose_max_length(self.dataset, lengths_kept, self.positions)
        self._mark_overlong(table, meter, max_length)
        table.cluster = find_clusters(texts, numpy.flatnonzero(table.kept))
        splitting.divide(table, self.dataset, self._assignments(meter.shape).find(table))
        splitting.mark_leaks(table, self.dataset)
        splitting.mark_near_duplicates(table, self.dataset)
        splitting.mark_conflicts(table, self.dataset)
        splitting.check_not_empty(table, self.dataset)
        table.check()
        for split, learning in (("test", ("train", "validation")), ("validation", ("train",))):
            rows = numpy.flatnonzero(numpy.any([table.is_in(name) for name in learning], axis=0))
            judging = numpy.flatnonzero(table.is_in(split))
            table.overlap[split][rows] = overlap_with(texts, judging, rows)
        return max_length, why

    def _mark_overlong(self, table: Table, meter: Meter, max_length: int) -> None:
        """Mark rows that are too long; to be truncated, they are counted as training sees them."""
        rows = numpy.flatnonzero(table.kept & (table.rows["tokens"] > max_length))
        policy = self.dataset.on_overlength
        if len(rows) and policy == "raise":
            raise lengths.overlength_error(table, rows, max_length)
        table.mark("overlength", rows, reject=policy == "drop")
        if not len(rows) or policy == "drop":
            return
        wanted = set(rows.tolist())
        raws = (raw for file in table.files for raw in rows_of(file))
        for at, raw in enumerate(raws):
            if at in wanted:
                counts = table.rows[at].copy()
                cut = meter.cut((counts["file"], raw), max_length, counts)
                if cut.pop("nothing"):
                    table.mark("no_loss_tokens", numpy.array([at]), reject=True)
                for name, value in cut.items():
                    table.rows[name][at] = value

    def _policies(self) -> tuple[bool, bool, str, str]:
        """Return the keys that change what is measured of a row."""
        dataset = self.dataset
        learned = dataset.completion_only_loss, dataset.assistant_only_loss
        return *learned, dataset.on_pii, dataset.on_special_tokens

    def _place(self, what: str, *made_with: object) -> Path:
        """Return the file in which something is kept, named by all that it depends on."""
        return self.remembered / f"{what}-{text_sha256(repr(made_with))[:16]}.npy"

    def _assignments(self, shape: Shape) -> Assignments:
        """Return the splits of an earlier preparation of this data set under the same shares."""
        dataset = self.dataset
        own = (dataset.validation_path is not None, dataset.test_path is not None)
        shares = (dataset.validation_size, dataset.test_size, dataset.max_rows)
        return Assignments(self._place("splits", dataset.path, shape.row_type, own, shares))

    def _record(
        self,
        folder: Path,
        hashes: Sequence[str],
        encoder: Encoder,
        decided: tuple[Shape, Table, int, str],
    ) -> Splits:
        shape, table, max_length, why = decided
        kept = table.rows[table.kept]
        splits = {name: writing.split_record(folder, name, table) for name in SPLITS}
        counts = numpy.bincount(table.rows["file"], minlength=len(hashes)).tolist()
        return Splits(
            format=shape.format,
            format_reason=shape.reason,
            row_type=shape.row_type,
            sources=tuple(
                Source(path=str(file.path), sha256=digest, rows=count)
                for file, digest, count in zip(table.files, hashes, counts, strict=True)
            ),
            rows_in=len(table),
            rejected=table.counts(),
            rejected_path=f"{folder.name}/rejected.jsonl",
            profile_path=f"{folder.name}/profile.parquet",
            max_length=max_length,
            max_length_reason=why,
            longest_answer_tokens=int(kept["answer_tokens"].max(initial=0)),
            token_percentiles=lengths.percentiles(kept),
            checkable=shape.row_type != "text" and lengths.checkable(kept),
            template=encoder.template_origin,
            template_sha256=text_sha256(encoder.template or ""),
            labels=labels_of(self.dataset, folder) if self.labelled else (),
            **splits,
        )

    def _teller(self, what: str, total: int | None = None) -> Callable[[int], None]:
        last = 0.0

        def tell(done: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_SECONDS:
                last = time.monotonic()
                all_rows = total or done
                event = {"event": "progress", "stage": "prepare", "done": done, "total": all_rows}
                shown = f"{done:,} of {total:,}" if total else f"{done:,}"
                self.progress({**event, "text": f"{shown} rows {what}"})

        return tell
