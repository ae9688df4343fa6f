"""A user's own checks, by path: what Great Expectations writes as JSON, or a Python file.

    {"name": "ours", "expectations": [{"type": "expect_column_max_to_be_between",
                                       "kwargs": {"column": "turns", "max_value": 8}}]}

The columns are those of the profile and of tasks/signals/frame.py: numbers, never text. A check may
name a 0/1 column in `meta: {"rows": ...}`; the rows in which it is 1 are then listed. A Python file
is run because the recipe names it, with all that the user who runs it may do.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import RecipeError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

__all__ = ["read_suite"]

#: Arguments by which expectations name columns.
COLUMN_KEYS = ("column", "column_A", "column_B", "column_list", "column_set")


def read_suite(
    path: Path, columns: Collection[str], parameters: Collection[str], taken: Collection[str]
) -> ExpectationSuite:
    """Return the suite, each check with an id of its own, a sentence, and columns that exist.

    Args:
        path: A .json or .py file.
        columns: The columns of the profile's frame.
        parameters: The names a check may use as {"$PARAMETER": name}: thresholds of the recipe.
        taken: The ids of the other checks.

    Raises:
        RecipeError: The file is missing, no suite, or names what there is not.
    """
    where = f"validation.suite: {path}"
    if not path.is_file():
        raise RecipeError(f"{where}: is no file.")
    if path.suffix not in (".json", ".py"):
        raise RecipeError(f"{where}: must be .json (Great Expectations' own form) or .py.")
    suite = _from_python(path, where) if path.suffix == ".py" else _from_json(path, where)
    if not suite.expectations:
        raise RecipeError(f"{where}: has no expectations.")
    used = set(taken)
    for number, expectation in enumerate(suite.expectations, 1):
        kind = type(expectation).__name__
        place = f"{where}: expectation {number} ({kind})"
        _check_columns(expectation, columns, place)
        _check_parameters(expectation, parameters, place)
        meta = dict(expectation.meta or {})
        wanted = str(meta.get("id") or expectation.id or f"{suite.name}-{number}")
        if wanted in used:
            raise RecipeError(f"{place}: the id {wanted!r} is taken.")
        used.add(wanted)
        expectation.meta = {**meta, "id": wanted, "rows": meta.get("rows"), "own": where}
        expectation.id = None
        if not expectation.description:
            expectation.description = f"{kind} on {_columns_of(expectation) or 'the table'}."
    return suite


def _from_json(path: Path, where: str) -> ExpectationSuite:
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{where}: is no JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("expectations"), list):
        raise RecipeError(f'{where}: needs the form {{"name": ..., "expectations": [...]}}.')
    suite = gx.ExpectationSuite(name=str(record.get("name") or path.stem))
    for number, each in enumerate(record["expectations"], 1):
        # One by one: the constructor of a suite only logs what it cannot read, and leaves it out.
        try:
            suite.expectations.append(ExpectationConfiguration(**each).to_domain_obj())
        except Exception as error:
            why = " ".join(str(error).split())[:200]
            raise RecipeError(f"{where}: expectation {number}: {why}") from None
    return suite


def _from_python(path: Path, where: str) -> ExpectationSuite:
    import great_expectations as gx

    try:
        build = runpy.run_path(str(path)).get("suite")
        if not callable(build):
            raise RecipeError(f"{where}: defines no function suite().")
        suite = build()
    except RecipeError:
        raise
    except Exception as error:
        raise RecipeError(f"{where}: {type(error).__name__}: {_first_line(error)}") from None
    if not isinstance(suite, gx.ExpectationSuite):
        raise RecipeError(f"{where}: suite() returns {type(suite).__name__}, not ExpectationSuite.")
    return suite


def _check_columns(expectation: Any, columns: Collection[str], where: str) -> None:  # noqa: ANN401
    named = _columns_of(expectation).split(", ") if _columns_of(expectation) else []
    rows = (expectation.meta or {}).get("rows")
    for column in [*named, *([rows] if rows else [])]:
        if column not in columns:
            near = get_close_matches(str(column), columns, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{where}: the profile has no column {column!r}.{hint}")


def _check_parameters(expectation: Any, parameters: Collection[str], where: str) -> None:  # noqa: ANN401
    for key, value in expectation.configuration.kwargs.items():
        name = value.get("$PARAMETER") if isinstance(value, dict) else None
        if name is not None and name not in parameters:
            near = get_close_matches(str(name), parameters, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{where}: {key}: there is no threshold {name!r}.{hint}")


def _columns_of(expectation: Any) -> str:  # noqa: ANN401 - theirs has a class each
    given = (getattr(expectation, key, None) for key in COLUMN_KEYS)
    flat = ((value,) if isinstance(value, str) else value for value in given if value)
    return ", ".join(str(column) for columns in flat for column in columns)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
