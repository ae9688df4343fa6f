"""Drift against an earlier accepted data set: how far lengths and labels have moved.

The population stability index of two sets of shares p and q over the same bins:

    PSI = sum((p - q) * ln(p / q))        0.1: some shift, 0.25: a large one

(Siddiqi 2006, "Credit Risk Scorecards"). Two samples of one population differ too; by chance PSI
is about (bins - 1)(1/n + 1/m) (Yurdakul & Naranjo 2020, Journal of Risk Model Validation), which is
taken off, so that small data sets raise no alarm. Both sides are the kept rows of a profile.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame, Series

__all__ = ["add_drift", "psi", "read_reference"]

#: What of an earlier profile is compared.
COMPARED = ("split", "tokens", "label_family")
BINS = 10


def read_reference(path: Path) -> DataFrame:
    """Return what is compared of an earlier profile.

    Raises:
        DataError: The file is missing or no profile.
    """
    import pandas

    where = f"validation.reference: {path}"
    if not path.is_file():
        raise DataError(f"{where}: is no file. Name the profile.parquet of an accepted run.")
    try:
        frame = pandas.read_parquet(path, columns=list(COMPARED))
    except Exception as error:
        raise DataError(
            f"{where}: cannot be read as a profile ({type(error).__name__}): it needs the columns "
            f"{', '.join(COMPARED)}. Name the profile.parquet of an accepted run."
        ) from None
    if not (frame["split"] != "rejected").any():
        raise DataError(f"{where}: holds no kept row to compare with.")
    return frame


def add_drift(frame: DataFrame, reference: DataFrame) -> None:
    """Add `length_psi` and `label_psi`, the same in each row, and `kept_new_label`.

    Labels are compared where this data set has labels, see tasks/signals/frame.py.
    """
    kept = frame["split"] != "rejected"
    before = reference[reference["split"] != "rejected"]
    frame["length_psi"] = _length_psi(frame.loc[kept, "tokens"], before["tokens"])
    labels = frame.loc[kept & frame["is_label"], "label_family"]
    known = before.loc[before["label_family"] != 0, "label_family"]
    frame["label_psi"] = 0.0
    frame["kept_new_label"] = frame["kept_mojibake"] * 0
    if len(labels) and len(known):
        counts = labels.value_counts(), known.value_counts()
        every = counts[0].index.union(counts[1].index)
        mine, theirs = (each.reindex(every, fill_value=0).tolist() for each in counts)
        frame["label_psi"] = psi(mine, theirs)
        new = kept & frame["is_label"] & ~frame["label_family"].isin(counts[1].index)
        frame.loc[new, "kept_new_label"] = 1


def psi(counts: Sequence[int], reference: Sequence[int]) -> float:
    """Return the index of two histograms over the same bins, less what chance alone makes.

    A bin that one side lacks counts as half a row. psi([50, 50], [90, 10]) is 0.88 - 0.02 = 0.86.
    """
    total, other = sum(counts), sum(reference)
    value = 0.0
    for mine, theirs in zip(counts, reference, strict=True):
        p, q = max(mine, 0.5) / total, max(theirs, 0.5) / other
        value += (p - q) * math.log(p / q)
    return max(0.0, value - (len(counts) - 1) * (1 / total + 1 / other))


def _length_psi(lengths: Series, reference: Series) -> float:
    """Return the index over tenths of the reference; equal edges fall together."""
    import numpy

    edges = numpy.unique(numpy.quantile(reference, numpy.linspace(0, 1, BINS + 1)[1:-1]))
    histograms = (
        numpy.bincount(numpy.searchsorted(edges, values.to_numpy()), minlength=len(edges) + 1)
        for values in (lengths, reference)
    )
    mine, theirs = (each.tolist() for each in histograms)
    return psi(mine, theirs)
