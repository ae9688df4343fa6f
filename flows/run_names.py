"""Which run somebody means: a folder, a name (its latest run), NAME/IDENTITY, or a recipe.

Shared by the commands that look at a run that was made before (`review`, `clean`).
"""

from __future__ import annotations

from pathlib import Path

from flows.runs import open_run, runs_root
from tasks.errors import FolderError
from tasks.run_folder import RunFolder

__all__ = ["find_run", "run_folders"]


def run_folders(root: Path | None = None) -> list[Path]:
    """Return every run folder, the oldest first."""
    found = (root or runs_root()).glob("*/*/snapshot.json")
    return [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def find_run(name: str) -> RunFolder:
    """Return the folder of a run.

    Raises:
        FolderError: There is none of that name; the message lists those there are.
    """
    if name.endswith((".yaml", ".yml")):
        return open_run(name, weights=False).folder
    given = Path(name).expanduser()
    for path in (given, runs_root() / name):
        if (path / "snapshot.json").is_file():
            return RunFolder(path.resolve(), {})
    latest = [path for path in run_folders() if path.parent.name == name]
    if latest:
        return RunFolder(latest[-1], {})
    there = sorted({path.parent.name for path in run_folders()})
    raise FolderError(
        f"{name}: no such run in {runs_root()}. Name a run folder, a recipe, or one of: "
        f"{', '.join(there) or 'none yet'}."
    )
