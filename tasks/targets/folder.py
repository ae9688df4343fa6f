"""The local registry: `<registry>/<name>/v1, v2, ...` and `latest`, all of it written atomically.

    registry/
        .staging/<name>-<random>/     being built; locked by its builder, swept when he is dead
        .staging/<name>.lock          held while a version number is taken
        <name>/v<N>/                  a release: files, release.json, README.md; never written again
        <name>/latest -> v<N>

A version appears by one rename after everything in it is on disk, so a crash leaves nothing
visible. The same content published twice is one version.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.contracts import Record, Release
from tasks.errors import FolderError, ModelError
from tasks.recipe import NAME_PATTERN
from tasks.run_folder import file_sha256, text_sha256

__all__ = [
    "Placed",
    "content_files",
    "content_sha256",
    "damage",
    "find",
    "place",
    "read_release",
    "releases",
    "staging",
]

VERSION = re.compile(r"v([1-9]\d*)")
#: Written last, about the content; not part of it.
ABOUT = ("release.json", "README.md")


class Placed(Record):
    """Where a release lies; `replaced` is what `latest` named before."""

    path: str
    version: int
    replaced: str | None
    existed: bool


def content_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a release, without what is written about it."""
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and str(path.relative_to(folder)) not in ABOUT
    }


def content_sha256(folder: Path) -> str:
    """Return one hash over names and bytes of a release's content."""
    return text_sha256("".join(f"{n} {sha}\n" for n, sha in content_files(folder).items()))


@contextmanager
def staging(registry: Path, name: str) -> Generator[Path]:
    """Give an empty hidden folder to build a release in; it is gone afterwards, unless placed.

    Raises:
        FolderError: The registry cannot be written.
    """
    _check_name(name)
    hidden = registry / ".staging"
    try:
        hidden.mkdir(parents=True, exist_ok=True)
        with _locked(hidden / "lock"):  # nobody sweeps between making the folder and locking it
            _sweep(hidden)
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=hidden))
            holder = os.open(folder, os.O_RDONLY)
            fcntl.flock(holder, fcntl.LOCK_EX)
    except OSError as error:
        raise FolderError(f"publish.registry: {registry}: cannot be written: {error}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(holder)


def _sweep(hidden: Path) -> None:
    """Remove what dead builders left: the kernel freed their locks."""
    for folder in hidden.iterdir():
        if not folder.is_dir():
            continue
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def place(registry: Path, name: str, built: Path, finish: Callable[[Path, int], None]) -> Placed:
    """Make what was built the next version and `latest`, or return the version it already is.

    Args:
        registry: The registry's folder.
        name: The release's name.
        built: The folder from `staging`, content complete.
        finish: Writes release.json (with `sha256`) and the card into the folder it gets, with
            the version it gets.
    """
    _check_name(name)
    sha256, shelf = content_sha256(built), registry / name
    with _locked(registry / ".staging" / f"{name}.lock"):
        versions, replaced = releases(registry, name), _latest(shelf)
        for version in versions:
            if _holds(shelf / f"v{version}", sha256):
                if version == versions[-1]:
                    _point_latest(shelf, version)  # a crash may have come between the two steps
                path = str(shelf / f"v{version}")
                return Placed(path=path, version=version, replaced=replaced, existed=True)
        version = max(versions, default=0) + 1
        final = shelf / f"v{version}"
        finish(built, version)
        _open_to_read(built)
        _sync_tree(built)
        shelf.mkdir(exist_ok=True)
        built.rename(final)
        _sync(shelf)
        _point_latest(shelf, version)
    return Placed(path=str(final), version=version, replaced=replaced, existed=False)


def _holds(folder: Path, sha256: str) -> bool:
    """Return whether a version still is that very content; an altered one never is."""
    try:
        recorded = read_release(folder)["sha256"]
    except (FolderError, KeyError):
        return False
    return recorded == sha256 == content_sha256(folder)


@contextmanager
def _locked(lock: Path) -> Generator[None]:
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _point_latest(shelf: Path, version: int) -> None:
    link = shelf / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(f"v{version}")
    link.replace(shelf / "latest")
    _sync(shelf)


def _latest(shelf: Path) -> str | None:
    link = shelf / "latest"
    return str(link.readlink()) if link.is_symlink() else None


def _open_to_read(folder: Path) -> None:
    """Let others read it: temporary folders and safetensors files are the owner's alone."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def releases(registry: Path, name: str) -> list[int]:
    """Return the versions published under a name, lowest first."""
    shelf = registry / name
    found = [VERSION.fullmatch(path.name) for path in shelf.iterdir()] if shelf.is_dir() else []
    return sorted(int(match[1]) for match in found if match)


def read_release(folder: Path) -> dict[str, Any]:
    """Return a version's release.json.

    Raises:
        FolderError: It is missing or damaged.
    """
    try:
        return json.loads((folder / "release.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(
            f"{folder}/release.json: cannot be read ({error}). The registry was altered by hand; "
            "move this folder away."
        ) from None


def find(registry: Path, name: str, version: int | None = None) -> Path:
    """Return the folder of a release: that version, else the latest.

    Raises:
        ModelError: There is none; the message lists those there are.
    """
    versions = releases(registry, name) if NAME_PATTERN.match(name) else []
    if not versions:
        names = sorted(p.name for p in registry.iterdir()) if registry.is_dir() else []
        there = ", ".join(n for n in names if NAME_PATTERN.match(n) and releases(registry, n))
        raise ModelError(
            f"{name}: no such release in {registry}. There are: {there or 'none yet'}."
        )
    if version is None:
        latest = VERSION.fullmatch(_latest(registry / name) or "")
        version = int(latest[1]) if latest else versions[-1]
    if version not in versions:
        shown = ", ".join(f"v{v}" for v in versions)
        raise ModelError(f"{name}: has no version {version} in {registry}. There are: {shown}.")
    return registry / name / f"v{version}"


def damage(release: Release) -> str:
    """Return what is wrong with a published release, or an empty text."""
    folder = Path(release.path)
    if not folder.is_dir():
        return f"{folder} is gone"
    return "" if content_sha256(folder) == release.sha256 else f"{folder} was altered"


def _check_name(name: str) -> None:
    if not NAME_PATTERN.match(name) or ".." in name:
        raise FolderError(f"{name!r}: is no name for a release; use a-z 0-9 _ . - and no slash.")
