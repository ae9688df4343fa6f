"""The base model as files: a folder or a Hub id becomes a local folder, a revision, a fingerprint.

Nothing heavy is imported and no weight is loaded here, so a wrong name is told before anything
expensive. Only `safetensors` weights are accepted. Loading is in `tasks/loading.py`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.contracts import Record
from tasks.errors import ModelError
from tasks.hub import hub_answers
from tasks.processes import CHECKOUT
from tasks.recipe import ModelSection

__all__ = ["BaseModelFiles", "find_path", "read_config", "resolve", "tokenizer_sha256"]

#: What of a Hub repository is wanted: weights, configuration, tokenizer. Never pickles.
TOKENIZER_PATTERNS = ["*.json", "*.model", "*.txt", "*.jinja", "LICENSE*"]
HUB_PATTERNS = ["*.safetensors", *TOKENIZER_PATTERNS]

#: Names the files of split weights; it says nothing about the tokenizer.
INDEX = ".safetensors.index.json"


class BaseModelFiles(Record):
    """A base model on this machine; `revision` is a commit for a Hub model, else None."""

    name: str
    path: str
    revision: str | None
    sha256: str


def find_path(name: str) -> Path | None:
    """Return the folder or file of that name: from the working directory, else the checkout."""
    for place in (Path(name).expanduser(), CHECKOUT / name):
        if place.exists():
            return place.resolve()
    return None


def resolve(model: ModelSection, *, weights: bool = True) -> BaseModelFiles:
    """Find the base model's files and give them a fingerprint.

    Args:
        model: The recipe's section.
        weights: Whether they are needed; without, a Hub model's are not downloaded and the
            fingerprint may be of configuration and tokenizer alone.

    Raises:
        ModelError: No such folder or Hub model, revision absent, gated, or offline without a copy.
    """
    name = model.model_name_or_path
    found = find_path(name)
    if found is not None and found.is_dir():
        _check_folder(found, weights=weights)
        return BaseModelFiles(name=name, path=str(found), revision=None, sha256=_fingerprint(found))
    if name.startswith(("/", ".", "~")) or name.count("/") != 1:
        raise ModelError(
            f"model.model_name_or_path: {name}: no such folder, and not a Hub id of the form "
            "owner/name. Give the folder that holds config.json."
        )
    folder = _from_hub(name, model.revision, HUB_PATTERNS if weights else TOKENIZER_PATTERNS)
    _check_folder(folder, weights=weights)
    sha256 = _fingerprint(folder) if weights else tokenizer_sha256(folder)
    return BaseModelFiles(name=name, path=str(folder), revision=folder.name, sha256=sha256)


def tokenizer_sha256(folder: Path) -> str:
    """Return the fingerprint of all that turns rows into tokens: everything but the weights."""
    return _fingerprint(folder, weights=False)


def read_config(folder: Path, file: str = "config.json") -> dict[str, Any]:
    """Return a model's config.json.

    Raises:
        ModelError: It is missing or is not JSON.
    """
    try:
        config = json.loads((folder / file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: holds no config.json, so it is no checkpoint.") from None
    except ValueError as error:
        raise ModelError(f"{folder}/{file}: is not JSON ({error}).") from None
    if not isinstance(config, dict):
        raise ModelError(f"{folder}/{file}: is no mapping, so it describes no model.")
    return config


def hub_config(name: str, revision: str | None) -> dict[str, Any]:
    """Return the config.json of a Hub model, from the local cache or the Hub; nothing else is read.

    Raises:
        ModelError: No such model or revision, gated, or offline without a copy.
    """
    return read_config(_from_hub(name, revision, ["config.json"]))


def _check_folder(folder: Path, *, weights: bool) -> None:
    read_config(folder)
    if weights and not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        raise ModelError(
            f"{folder}: holds no *.safetensors weights"
            + (f", only {pickles[0]}, a pickle, which is never loaded here" if pickles else "")
            + ". Save it again with `save_pretrained(..., safe_serialization=True)`."
        )
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise ModelError(f"{folder}: holds no tokenizer. Save it there with `save_pretrained`.")


def _fingerprint(folder: Path, *, weights: bool = True) -> str:
    """Hash names and bytes of what determines the model; subfolders are not part of it."""
    whole = hashlib.sha256()
    suffixes = {".json", ".model", ".jinja", ".txt"} | ({".safetensors"} if weights else set())
    for path in sorted(folder.iterdir()):
        if path.suffix in suffixes and (weights or not path.name.endswith(INDEX)):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.name} {digest}\n".encode())
    return whole.hexdigest()


def _from_hub(name: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = f"model.model_name_or_path: {name}"
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=patterns,
                local_files_only=not hub_answers(name, "model"),
            )
        )
    except GatedRepoError:
        problem = f"is gated. Accept its terms at https://huggingface.co/{name} and set HF_TOKEN."
    except RevisionNotFoundError:
        problem = f"has no revision {revision!r} (model.revision). Name a branch, tag or commit."
    except RepositoryNotFoundError:
        problem = (
            "is neither a folder here nor a model on the Hub (or it is private: set HF_TOKEN)."
        )
    except HFValidationError as error:
        problem = f"is not a Hub id: {error}"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError):
        problem = (
            "is no folder here, the Hub cannot be reached and no copy is in the local cache. "
            "Give a folder, or run once while online."
        )
    except HfHubHTTPError as error:
        problem = f"could not be fetched: {str(error).splitlines()[0]}"
    except OSError as error:
        problem = f"could not be stored: {error}"
    raise ModelError(f"{wanted}: {problem}")
