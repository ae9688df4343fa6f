"""Which files of a run hold rows of the data as they are: for their owner alone, and deletable.

They have mode 0600, are ignored by git, and are never an artifact or part of a release; what
people are shown is masked. `finetune clean` deletes them; records, reports and weights stay.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["protect", "raw_files"]

#: From the run folder. Counts and hashes of the same rows (profile, manifest) are no raw rows.
PATTERNS = ("prepare/*.jsonl*", "prepare/examples.json", "evaluate/*.jsonl*")


def raw_files(run: Path) -> list[Path]:
    """Return the files of a run that hold rows."""
    found = {path for pattern in PATTERNS for path in run.glob(pattern) if path.is_file()}
    return sorted(found)


def protect(run: Path) -> None:
    """Let nobody but the owner read them."""
    for path in raw_files(run):
        path.chmod(0o600)
