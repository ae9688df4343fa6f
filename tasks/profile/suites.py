"""Which checks a data set is put to: every family, drift if there is a reference, the user's own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from expectations import (
    drift,
    duplicates,
    labels,
    leakage,
    privacy,
    sequence,
    size,
    structure,
    text_quality,
    tokens,
)
from tasks.base_model import find_path
from tasks.profile.own_suite import read_suite
from tasks.recipe import ValidationSection
from tasks.run_folder import file_sha256
from tasks.signals.drift import add_drift, read_reference

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from pandas import DataFrame

__all__ = ["compare", "named_files", "suites_of"]

#: The families that need nothing but their thresholds.
FAMILIES = (structure, tokens, duplicates, leakage, text_quality, sequence, labels, privacy)


def suites_of(
    validation: ValidationSection, columns: Collection[str], parameters: Collection[str]
) -> list[ExpectationSuite]:
    """Return the suites of a recipe; Great Expectations is loaded here.

    Raises:
        RecipeError: The user's own suite is none, or names what there is not.
    """
    few = "warning" if validation.allow_few_rows else "critical"
    suites = [size.suite(train_rows_severity=few), *(family.suite() for family in FAMILIES)]
    if validation.reference:
        suites.append(drift.suite())
    if validation.suite:
        taken = [str((each.meta or {}).get("id")) for s in suites for each in s.expectations]
        # Names of files and splits are no numbers, and not in what Great Expectations is given.
        numbers = [column for column in columns if column not in ("source", "split")]
        suites.append(read_suite(_place(validation.suite), numbers, parameters, taken))
    return suites


def compare(validation: ValidationSection, frame: DataFrame) -> None:
    """Add the columns of drift where the recipe names a reference.

    Raises:
        DataError: The reference is missing or no profile.
    """
    if validation.reference:
        add_drift(frame, read_reference(_place(validation.reference)))


def named_files(validation: ValidationSection) -> list[str]:
    """Return the hashes of the files the section names, which may change while their names stay."""
    named = (_place(path) for path in (validation.reference, validation.suite) if path)
    return [file_sha256(path) for path in named if path.is_file()]


def _place(name: str) -> Path:
    """Return where a file the recipe names lies: from the working directory, else the checkout."""
    return find_path(name) or Path(name)
