"""Folders laid out as on the Hub, and the Hub itself: which file belongs to which split.

`datasets` says which (names such as train-00000-of-00002.parquet, the README's `configs`), with the
code that `load_dataset` uses; no script of a repository is run. Files are fetched at one commit.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from tasks.errors import DataError
from tasks.hub import hub_answers
from tasks.recipe import DatasetSection

__all__ = ["files_in_folder", "files_on_hub", "is_hub_id"]

HUB_ID = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}")
HUB_FILE = re.compile(r"hf://datasets/(?P<id>[^@]+)@(?P<commit>[^/]+)/(?P<file>.+)")


def is_hub_id(name: str) -> bool:
    """Say whether a name could be a repository's: owner/name."""
    return HUB_ID.fullmatch(name) is not None and ".." not in name


def files_in_folder(key: str, folder: Path, config: str | None) -> dict[str, list[Path]]:
    """Return the files of each split of a folder that is laid out as on the Hub.

    Raises:
        DataError: No files are found, or the folder has several configurations.
    """
    builder = _builder(key, str(folder), config, None)
    return {str(split): [Path(file) for file in files] for split, files in builder.items()}


def files_on_hub(key: str, name: str, section: DatasetSection) -> dict[str, list[Path]]:
    """Return the files of each split of a Hub repository, fetched at one commit.

    Without a network, what was fetched before is used, if the revision is there.

    Raises:
        DataError: There is no such repository, revision or configuration, it is private or gated,
            or the Hub cannot be reached and nothing was fetched before.
    """
    if _offline() or not hub_answers(name, "dataset"):
        return files_in_folder(key, _fetched_before(key, name, section.revision), section.name)
    try:
        found = _builder(key, name, section.name, section.revision)
    except ConnectionError:
        return files_in_folder(key, _fetched_before(key, name, section.revision), section.name)
    return {str(split): [_fetch(key, file) for file in files] for split, files in found.items()}


def _builder(key: str, name: str, config: str | None, revision: str | None) -> dict[Any, list[str]]:
    """Return what `datasets` takes for the files of each split."""
    from datasets import disable_progress_bars, load_dataset_builder
    from datasets.exceptions import DatasetNotFoundError

    logging.getLogger("huggingface_hub.repocard").setLevel(logging.ERROR)  # a README is no must
    disable_progress_bars()
    try:
        builder = load_dataset_builder(name, config, revision=revision)
    except ConnectionError:
        raise
    except DatasetNotFoundError as error:
        raise DataError(f"{key}: {name}: no such file or folder here. {_line(error)}") from None
    except (ValueError, OSError, RuntimeError) as error:
        mend = ""
        if "onfig" in str(error):
            mend = " Set dataset.name to a configuration."
        raise DataError(f"{key}: {name}: {_line(error)}{mend}") from None
    files = builder.config.data_files
    if not files:
        raise DataError(
            f"{key}: {name}: holds no data files that can be read without its own code."
        )
    return dict(files)


def _fetch(key: str, file: str) -> Path:
    """Return a repository's file on this machine."""
    from huggingface_hub import hf_hub_download

    match = HUB_FILE.fullmatch(file)
    if match is None:
        return Path(file)
    try:
        return Path(
            hf_hub_download(
                match["id"], match["file"], repo_type="dataset", revision=match["commit"]
            )
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: {match['id']}: {match['file']}: {_line(error)}") from None


def _fetched_before(key: str, name: str, revision: str | None) -> Path:
    """Return the folder with what was fetched of a repository's revision before."""
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True)
        )
    except (OSError, ValueError):
        at = f" at {revision}" if revision else ""
        raise DataError(
            f"{key}: {name}: no such file or folder here, and as a Hub id it cannot be reached: "
            f"this machine is offline and nothing of it was fetched before{at}. Fetch it where there "
            f"is a network (hf download {name} --repo-type dataset), or name a local file."
        ) from None


def _offline() -> bool:
    """Say whether the Hub's own switches forbid to ask it."""
    switches = (os.environ.get("HF_HUB_OFFLINE"), os.environ.get("HF_DATASETS_OFFLINE"))
    return any(str(switch).upper() in ("1", "ON", "YES", "TRUE") for switch in switches)


def _line(error: Exception) -> str:
    """Return an error's lines as one, with what is behind it if it says nothing itself."""
    return " ".join(str(error).split()) or type(error).__name__
