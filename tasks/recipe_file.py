"""Reading a recipe: YAML with line numbers, overrides, aliases, and every problem told at once.

Precedence, lowest first: the schema's defaults, the file, `--set key=value`. A message names file,
line, key and value, what is allowed, and the nearest valid key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tasks.errors import RecipeError
from tasks.library_settings import LIBRARIES, handed_on
from tasks.recipe import PLANNED_SECTIONS, Recipe
from tasks.recipe_aliases import aliases, rewrite
from tasks.refusals import refused
from tasks.sections.sources import SourceSection

__all__ = ["LoadedRecipe", "as_yaml", "load_recipe", "recipe_of_data", "valid_keys"]

Key = tuple[str, ...]
#: What pydantic puts into a place to tell one source from a mixture.
TAGS = ("one-source", "sources")


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and what was said about it: aliases rewritten, overrides applied."""

    recipe: Recipe
    path: Path
    notes: tuple[str, ...]


@dataclass
class _Draft:
    """A recipe on its way: plain values, where each key stands, and problems found so far."""

    source: str
    values: dict[str, Any]
    places: dict[Key, str]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, key: Key) -> str:
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, "line 1")

    def problem(self, key: Key, value: object, text: str) -> None:
        shown = "" if isinstance(value, dict | list) or value is None else f" = {value!r}"
        told = f"{self.place(key)}  {'.'.join(key)}{shown}  {text}"
        if not any(
            known.startswith(told.split("  should be")[0] + "  should be")
            for known in self.problems
        ):
            self.problems.append(told)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe file and apply `key=value` overrides.

    Args:
        path: A YAML file; relative to the working directory, else to the checkout.
        overrides: Each `dotted.key=value`, the value read as YAML.

    Raises:
        RecipeError: No such file, not YAML, or any key or value is wrong; all problems at once.
    """
    found = _find(Path(path))
    return _finish(_read(found), found, overrides)


def recipe_of_data(path: str, model: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Return the recipe that a data file and a model stand for, named after the file.

    Raises:
        RecipeError: Any key or value of the overrides is wrong; all problems at once.
    """
    stem = Path(path).name.split(".")[0].lower()
    name = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("_-")[:64] or "data"
    values = {"name": name, "model": {"model_name_or_path": model}, "dataset": {"path": path}}
    places = {("model",): "--model:", ("dataset",): "the data file:"}
    return _finish(_Draft("the command line", values, places), Path(path), overrides)


def _finish(draft: _Draft, found: Path, overrides: Sequence[str]) -> LoadedRecipe:
    """Apply overrides and aliases, and tell every problem at once."""
    for override in overrides:
        _override(draft, override)
    _rewrite_aliases(draft)
    _refuse_planned(draft)
    known = _validate(draft)
    if draft.problems or known is None:
        count = len(draft.problems)
        head = f"{draft.source} has {count} problem{'s' if count > 1 else ''}"
        problems = sorted(draft.problems, key=_line)
        raise RecipeError("\n".join([head, *(f"  {text}" for text in problems)]))
    return LoadedRecipe(known, found, tuple(draft.notes))


def _line(problem: str) -> int:
    """Overrides first, then the file from top to bottom."""
    words = problem.split()
    return int(words[1]) if words[0] == "line" else 0


def as_yaml(recipe: Recipe) -> str:
    """Return a recipe as YAML with every value written out; loading it gives an equal recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def valid_keys() -> tuple[str, ...]:
    """Return every dotted key of the recipe language."""
    return tuple(".".join(key) for key in _schema_keys(Recipe))


def _find(path: Path) -> Path:
    checkout = Path(__file__).parents[1]
    for place in (path, checkout / path, checkout / "recipes" / path):
        for candidate in (place, place.with_name(f"{place.name}.yaml")):
            if candidate.is_file():
                return candidate.resolve()
    there = sorted(str(p.relative_to(checkout)) for p in (checkout / "recipes").rglob("*.yaml"))
    near = difflib.get_close_matches(str(path), there, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else f" Here are: {', '.join(there) or 'none'}."
    raise RecipeError(f"{path}: no such recipe.{hint}")


def _read(path: Path) -> _Draft:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})."
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        shown = text.splitlines()[line - 1].strip() if text.splitlines()[line - 1 :] else ""
        raise RecipeError(f"{path}:{line}: is not YAML: {error.problem}: {shown!r}") from None
    if not isinstance(node, yaml.MappingNode):
        raise RecipeError(f"{path}: a recipe is a mapping of sections, such as `model:`.")
    draft = _Draft(str(path), {}, {})
    try:
        draft.values = _plain(node, (), draft)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{path}:{line}: {error.problem}. Write a plain value.") from None
    return draft


def _plain(node: yaml.Node, key: Key, draft: _Draft) -> Any:  # noqa: ANN401 - YAML values
    """Turn a node into values, noting each key's line; a key that stands twice is a problem."""
    if not isinstance(node, yaml.MappingNode):
        loader = yaml.SafeLoader("")
        return loader.construct_object(node, deep=True)
    own = [str(name_node.value) for name_node, _ in node.value]
    yaml.SafeLoader("").flatten_mapping(node)
    values: dict[str, Any] = {}
    for name_node, value_node in node.value:
        name = str(name_node.value)
        inner = (*key, name)
        if name in values and own.count(name) > 1:
            draft.places[inner] = f"line {name_node.start_mark.line + 1}"
            draft.problem(inner, None, "stands twice; keep one.")
        draft.places[inner] = f"line {name_node.start_mark.line + 1}"
        values[name] = _plain(value_node, inner, draft)
    return values


def _override(draft: _Draft, override: str) -> None:
    name, equals, text = override.partition("=")
    key = tuple(name.strip().split("."))
    if not equals or not all(key):
        raise RecipeError(f"--set {override}: write it as section.key=value, such as lora.r=32.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {override}: the value is not YAML.") from None
    section = draft.values
    for part in key[:-1]:
        inner = section[part] = {} if section.get(part) is None else section[part]
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {override}: {part} is no section.")
        section = inner
    before = section.get(key[-1], "default")
    section[key[-1]] = value
    draft.places[key] = "--set"
    draft.notes.append(f"{name.strip()}: {before} -> {value}")


def _rewrite_aliases(draft: _Draft) -> None:
    for change in rewrite(draft.values, lambda key, text: draft.problem(key, None, text)):
        draft.places[change.new] = draft.place(change.old)
        draft.notes.append(change.text)


def _refuse_planned(draft: _Draft) -> None:
    for section, what in PLANNED_SECTIONS.items():
        if section in draft.values:
            told = f"{what} is not there yet: nothing would read it. Remove it."
            draft.problem((section,), None, told)
            draft.values.pop(section)


def _validate(draft: _Draft) -> Recipe | None:
    try:
        return Recipe.model_validate(draft.values)
    except ValidationError as error:
        for item in error.errors():
            _explain(draft, item)
    return None


def _explain(draft: _Draft, item: Mapping[str, Any]) -> None:
    parts = map(str, item["loc"])
    key = tuple(p for p in parts if p not in TAGS and not p.startswith("function-"))
    kind, value = item["type"], item["input"]
    if kind == "extra_forbidden":
        draft.problem(key, value, refused(key) or _unknown(key))
    elif kind == "missing":
        draft.problem(key, None, "is missing.")
    elif kind == "handed_on":
        draft.problem(key, value, f"{item['msg']}.")
    elif kind == "literal_error":
        allowed = str(item["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        draft.problem(key, value, f"is not one of the words. {hint}Allowed: {', '.join(allowed)}.")
    else:
        text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        draft.problem(_known_part(key), value, f"{text[:1].lower()}{text[1:]}.")


def _known_part(key: Key) -> Key:
    """Drop what pydantic adds for the members of a union (`lora.target_modules.str`)."""
    keys = set(_schema_keys(Recipe))
    while len(key) > 1 and key not in keys and not key[-2].isdigit():
        key = key[:-1]
    return key


def _unknown(key: Key) -> str:
    """Say that a key is unknown, with the nearest valid one, in its section or elsewhere."""
    keys = list(_schema_keys(Recipe))
    siblings = [k[-1] for k in keys if k[:-1] == key[:-1]]
    if key[-2:-1] and key[-2].isdigit():
        siblings = list(SourceSection.model_fields)
    library = LIBRARIES.get(key[0]) if len(key) == 2 else None
    handed = handed_on(key[0]) if library else {}
    near = difflib.get_close_matches(key[-1], [*siblings, *handed], n=1, cutoff=0.6)
    if near:
        return f"unknown key. Did you mean `{near[0]}`?"
    anywhere = {k[-1]: ".".join(k) for k in keys}
    for section, words in aliases().items():
        ours = {w: ".".join(filter(None, (section, *a.key))) for w, a in words.items()}
        anywhere |= ours | anywhere if section != "source" else {}
    near = difflib.get_close_matches(key[-1], list(anywhere), n=1, cutoff=0.75)
    if near:
        return f"unknown key. Did you mean `{anywhere[near[0]]}`?"
    others = f", and what else {library} takes" if library else ""
    return f"unknown key. Allowed here: {', '.join(siblings)}{others}."


def _schema_keys(model: type[BaseModel], prefix: Key = ()) -> Iterator[Key]:
    for name, info in model.model_fields.items():
        yield (*prefix, name)
        section = _section_of(info.annotation)
        if section is not None:
            yield from _schema_keys(section, (*prefix, name))


def _section_of(annotation: object) -> type[BaseModel] | None:
    candidates: Iterable[object] = (annotation,)
    if get_origin(annotation) in (Union, UnionType, Literal):
        candidates = get_args(annotation)
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
