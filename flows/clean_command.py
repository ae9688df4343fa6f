"""The command `finetune clean`: delete the files of runs that hold rows of the data as they are.

Records, reports (masked), profiles (numbers) and weights stay. A stage whose files are gone runs
again when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.display import console
from flows.run_names import find_run, run_folders
from tasks.errors import ExitCode, RecipeError
from tasks.raw_rows import raw_files
from tasks.run_folder import RunFolder

__all__ = ["clean"]


def clean(names: Sequence[str], *, everything: bool = False) -> ExitCode:
    """Delete the raw rows of these runs, or of every run.

    Raises:
        RecipeError: No run was named and `--all` was not said, or both were.
        FolderError: There is no such run, or another process works in it.
    """
    if bool(names) == everything:
        raise RecipeError("finetune clean: name runs, or say --all.")
    runs = run_folders() if everything else [find_run(name).path for name in names]
    deleted, size = 0, 0
    for run in runs:
        with RunFolder(run, {}).locked():
            files = raw_files(run)
            size += sum(path.stat().st_size for path in files)
            for path in files:
                path.unlink()
        deleted += len(files)
        console.print(f"{run}: {_told(files, run)}", markup=False, soft_wrap=True)
    console.print(f"{deleted} files deleted, {size / 1e6:.1f} MB")
    return ExitCode.DONE


def _told(files: Sequence[Path], run: Path) -> str:
    return ", ".join(str(path.relative_to(run)) for path in files) or "holds no rows"
