"""Where the rows of a recipe lie: a file, a folder of shards, a saved data set, a Hub repository.

Each becomes files of splits. A folder with no names of splits in it is shards of one kind; one with
such names, or a Hub repository, has the splits that `datasets` sees in it, but its files are read
by our readers, so that a row which a loader would lose is counted. A `validation` and a `test`
split that lie beside `train` are used as such.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.base_model import find_path
from tasks.errors import DataError
from tasks.readers import KINDS, kind_of
from tasks.readers.repositories import files_in_folder, files_on_hub, is_hub_id
from tasks.readers.streams import PACKED
from tasks.recipe import DatasetSection

__all__ = ["SourceFile", "find_sources"]

SplitName = Literal["validation", "test"]

#: What people call the splits, in file names and as names of splits.
WORDS: dict[SplitName, tuple[str, ...]] = {
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test",),
}
SPLIT_WORD = re.compile(
    r"(?:^|[-._\d])(?:train|training|validation|valid|val|dev|eval|test|testing)(?:[-._\d]|$)", re.I
)
#: Files that lie beside shards without being rows.
BESIDE = (".md", ".sha256", ".lock", ".gitattributes")


@dataclass(frozen=True)
class SourceFile:
    """A file of rows: the recipe key it comes from, its name in records, and whose split it is.

    `split` None: split by the hash of each row's prompt. `source` is its place in a mixture.
    """

    key: str
    path: Path
    name: str
    split: SplitName | None
    column_names: tuple[str, ...] = ()
    source: int = 0


def find_sources(dataset: DatasetSection) -> list[SourceFile]:
    """Return every file of rows that a recipe's data section names, in a fixed order.

    Raises:
        DataError: Something is missing, of an unknown kind, or cannot be reached.
    """
    found: list[SourceFile] = []
    own: dict[SplitName, bool] = {"validation": False, "test": False}
    for split in own:
        name = getattr(dataset, f"{split}_path")
        if name is not None:
            key = f"dataset.{split}_path"
            splits = _splits(key, name, dataset)
            wanted = next((each for each in splits if _role(each) == split), None)
            paths = splits[wanted] if wanted else _only(key, splits, split)
            found += [SourceFile(key, path, "", split, dataset.column_names) for path in paths]
            own[split] = True
    trained: list[SourceFile] = []
    for number, section in enumerate(dataset.sections()):
        key = "dataset.path" if isinstance(dataset.path, str) else f"dataset.path.{number}"
        splits = _splits(key, str(section.path), section)
        train = _train_split(key, splits, section)
        names = section.column_names
        trained += [SourceFile(key, p, "", None, names, number) for p in splits[train]]
        for split in own:
            beside = _beside(key, splits, train, split, section)
            if beside and not own[split]:
                trained += [SourceFile(key, p, "", split, names, number) for p in splits[beside]]
    return _named([*trained, *found])


def _splits(key: str, name: str, section: DatasetSection) -> dict[str, list[Path]]:
    """Return the files of each split that a name stands for."""
    path = find_path(name)
    if path is None and is_hub_id(name):
        splits = files_on_hub(key, name, section)
    elif path is None:
        raise DataError(
            f"{key}: {name}: no such file or folder, neither from {Path.cwd()} nor from the "
            "checkout, and no Hub id of the form owner/name."
        )
    else:
        splits = _local(key, name, path, section)
    for file in (file for files in splits.values() for file in files):
        _require_known(key, file)
    return splits


def _local(key: str, name: str, path: Path, section: DatasetSection) -> dict[str, list[Path]]:
    if path.is_file():
        return {"train": [path]}
    if (path / "dataset_dict.json").is_file():
        names = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return {each: _saved(key, path / each) for each in names}
    if (path / "state.json").is_file():
        return {"train": _saved(key, path)}
    inside = [each for each in sorted(path.iterdir()) if each.name[0] not in "._"]
    files = [each for each in inside if each.is_file() and each.suffix.lower() not in BESIDE]
    folders = any(each.is_dir() for each in inside)
    if folders or _has_configs(path) or any(SPLIT_WORD.search(each.name) for each in files):
        return files_in_folder(key, path, section.name)
    kinds = Counter(kind_of(each) or each.suffix or each.name for each in files)
    if len(kinds) != 1:
        seen = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no files"
        raise DataError(f"{key}: {name}: holds {seen}. A folder of shards has files of one kind.")
    return {"train": files}


def _saved(key: str, folder: Path) -> list[Path]:
    """Return the Arrow files of a folder that `save_to_disk` wrote."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        files = [folder / each["filename"] for each in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{key}: {folder}: its state.json is missing or damaged.") from None
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{key}: {folder}: {missing[0]} is missing. Save the data set again.")
    return files


def _has_configs(folder: Path) -> bool:
    """Say whether a README's front matter names the files, as on the Hub."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    return (
        text.startswith("---")
        and re.search(r"(?m)^configs:", text.split("\n---", 1)[0]) is not None
    )


def _require_known(key: str, path: Path) -> None:
    if not kind_of(path):
        raise DataError(
            f"{key}: {path}: is of a kind that is not read here ({path.suffix or 'no suffix'}). "
            f"Allowed: {', '.join(KINDS)}, text also with {' or '.join(PACKED)} behind. Save it as "
            "one of these."
        )


def _train_split(key: str, splits: dict[str, list[Path]], section: DatasetSection) -> str:
    wanted = section.split or ("train" if "train" in splits else None)
    if wanted is None and len(splits) == 1:
        return next(iter(splits))
    if wanted not in splits:
        asked = f"no split {wanted!r}" if wanted else "no split 'train'"
        raise DataError(f"{key}: has {asked}. Set dataset.split to one of: {', '.join(splits)}.")
    return wanted


def _beside(
    key: str, splits: dict[str, list[Path]], train: str, split: SplitName, section: DatasetSection
) -> str | None:
    """Return the name of the validation or test split that lies beside the trained one."""
    wanted = getattr(section, f"{split}_split")
    if wanted is not None and wanted not in splits:
        allowed = ", ".join(splits)
        raise DataError(
            f"{key}: has no split {wanted!r}. Set dataset.{split}_split to one of: {allowed}."
        )
    return wanted or next((each for each in splits if each != train and _role(each) == split), None)


def _role(name: str) -> SplitName | None:
    return next((split for split, words in WORDS.items() if name.lower() in words), None)


def _only(key: str, splits: dict[str, list[Path]], split: str) -> list[Path]:
    if len(splits) != 1:
        raise DataError(
            f"{key}: has the splits {', '.join(splits)}, none of them called {split}. Name a file."
        )
    return next(iter(splits.values()))


def _named(files: list[SourceFile]) -> list[SourceFile]:
    """Give each file the shortest end of its path that no other file has for a name."""

    def ends(path: Path) -> list[str]:
        return ["/".join(path.parts[-count:]) for count in range(1, len(path.parts) + 1)]

    taken = Counter(end for path in {file.path for file in files} for end in ends(path))
    return [
        replace(file, name=next(end for end in ends(file.path) if taken[end] == 1))
        for file in files
    ]
