"""Every error a user can cause, each saying what is wrong, where, and how to mend it.

FinetuneError                 exit code 2 unless the class says otherwise
├── RecipeError               the recipe file, an override or a flag is wrong
│   └── DivergedError         the loss is no number any more, or explodes
├── DataError                 the data set cannot be read, or changed under us
├── ModelError                the base model is missing, gated, or its revision is absent
├── FolderError               a run folder is in use or cannot be written
├── ReleaseError              a check of the finished artefact failed, nothing published     exit code 1
├── BudgetError               nothing fits the hardware or the budget           exit code 3
│   └── OutOfMemoryError      memory ran out in a child; a smaller setting may fit
└── StageError                a child process died; ours to mend                exit code 70

A gate that says no ends the flow in a named state (`flows/finetune.py`).
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns, everywhere: the command line, child processes and the tests."""

    DONE = 0
    GATE = 1
    INPUT = 2
    NOTHING_FITS = 3
    OURS = 70
    INTERRUPTED = 130


class FinetuneError(Exception):
    """A problem that is told in one message, without a traceback, and never retried."""

    exit_code = ExitCode.INPUT


class RecipeError(FinetuneError, ValueError):
    """The recipe, an override or a flag is wrong; the message lists every problem at once."""


class DivergedError(RecipeError):
    """Training went wrong numerically: the learning rate or the rows; nothing was kept."""


class DataError(FinetuneError, ValueError):
    """The data set cannot be read, is not what the recipe says, or changed after validation."""


class ModelError(FinetuneError, ValueError):
    """The base model cannot be had: no such path, no such revision, gated, or offline."""


class FolderError(FinetuneError, OSError):
    """A run folder or the registry is in use by another process, or cannot be written."""


class ReleaseError(FinetuneError, RuntimeError):
    """The artefact is not the model that was evaluated; nothing was published."""

    exit_code = ExitCode.GATE


class BudgetError(FinetuneError, ValueError):
    """No method fits the hardware or the budget; the message says what would."""

    exit_code = ExitCode.NOTHING_FITS


class OutOfMemoryError(BudgetError):
    """Memory ran out in a child process; `tasks/trainer/ladder.py` knows what may still fit."""


class StageError(FinetuneError, RuntimeError):
    """A child process failed for a reason that is not the user's; its log is named."""

    exit_code = ExitCode.OURS
