"""What the loss curves of a finished run say, and what to change: plain sentences.

Read from the logged losses alone, so every finding is a heuristic; the thresholds are below. The
training loss is noisy: it is read as means over a fifth of the run. Overfitting is seen by the
validation loss only; where none was measured, that is said.

    overfitting      the validation loss rises again while the training loss falls
    plateau          the last fifth of the run gained next to nothing
    still falling    the last fifth still gained: the run ended too early
    underfitting     a plateau high above what the run began with: too little capacity, or rate
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

__all__ = ["Run", "read_curves"]

#: The validation loss has risen if it ends this share above its least value.
RISEN = 0.02
#: Of the whole fall of the loss: a fifth of the run that gains less has come to rest, and one that
#: gains more has not.
AT_REST, STILL_FALLING = 0.02, 0.10
#: A loss that lost less than this share of its beginning has learned little.
LITTLE = 0.25
#: Least number of logged losses that make a curve.
FEWEST = 10
#: Training loss this much below the validation loss at its best: learned by heart, in part.
GAP = 0.5


@dataclass(frozen=True)
class Run:
    """What the reading needs to know of a run.

    Args:
        method: full, lora or qlora.
        r: The adapter's rank.
        learning_rate: Its peak.
        num_train_epochs: Passes over the rows.
        rows: Rows trained on.
        best_kept: Whether the best weights were kept instead of the last.
    """

    method: str
    r: int | None
    learning_rate: float
    num_train_epochs: float
    rows: int
    best_kept: bool


def read_curves(history: Sequence[Mapping[str, float]], run: Run) -> tuple[str, ...]:
    """Return what the logged losses say, most important first.

    Args:
        history: Entries with `step` and `loss` or `eval_loss`, in order.
        run: What was trained.
    """
    train = [entry["loss"] for entry in history if "loss" in entry]
    validation = [entry for entry in history if "eval_loss" in entry]
    if len(train) < FEWEST:
        return (
            f"{len(train)} logged losses are too few for a curve: lower training.logging_steps.",
        )
    told = _overfitting(train, validation, run)
    if told:
        return told
    told = _by_the_end(train, run)
    if len(validation) < 2:
        told = (*told, "The validation loss was not followed, so overfitting would not be seen.")
    return told


def _overfitting(
    train: Sequence[float], validation: Sequence[Mapping[str, float]], run: Run
) -> tuple[str, ...]:
    losses = [entry["eval_loss"] for entry in validation]
    if not losses:
        return ()
    best = min(range(len(losses)), key=losses.__getitem__)
    kept = " The best weights were kept." if run.best_kept else ""
    if len(losses) > 1 and losses[-1] > losses[best] * (1 + RISEN):
        step, epochs = validation[best]["step"], _epochs_until(validation[best], validation, run)
        return (
            (
                f"Overfitting: the validation loss was least at step {step:.0f} ({losses[best]:.3f}) "
                f"and rose to {losses[-1]:.3f} while the training loss fell to {_fifths(train)[-1]:.3f}."
                f"{kept} Change: training.num_train_epochs: {epochs:g}, more rows than {run.rows:,}, or "
                f"training.early_stopping_patience: 2."
            ),
        )
    last = _fifths(train)[-1]
    if last < losses[-1] * GAP and losses[-1] - last > 0.1:
        return (
            (
                f"Learned by heart, in part: the training loss ends at {last:.3f}, the validation loss "
                f"at {losses[-1]:.3f}. Change: more rows than {run.rows:,}, fewer epochs than "
                f"{run.num_train_epochs:g}{_smaller_rank(run)}."
            ),
        )
    return ()


def _by_the_end(train: Sequence[float], run: Run) -> tuple[str, ...]:
    parts = _fifths(train)
    fall, last = parts[0] - parts[-1], parts[-2] - parts[-1]
    little = fall < LITTLE * parts[0]
    if fall <= 0:
        return (
            (
                f"Not learning: the training loss went from {parts[0]:.3f} to {parts[-1]:.3f}. Change: "
                f"training.learning_rate: {_rounded(run.learning_rate / 3)} if it jumps up and down, "
                f"{_rounded(run.learning_rate * 3)} if it lies flat; and look at the data report."
            ),
        )
    if last > STILL_FALLING * fall:
        more = math.ceil(run.num_train_epochs * 1.5 * 2) / 2
        return (
            (
                f"Still falling: the last fifth of the run took the training loss from {parts[-2]:.3f} "
                f"to {parts[-1]:.3f}. Change: training.num_train_epochs: {more:g}."
            ),
        )
    if little:
        return (
            (
                f"Underfitting: the training loss came to rest at {parts[-1]:.3f}, not far below the "
                f"{parts[0]:.3f} it began with. Change: {_more_capacity(run)}."
            ),
        )
    if last < AT_REST * fall:
        return (
            (
                f"Plateau: the last fifth of the run gained {max(last, 0.0):.3f} of {fall:.3f}. More "
                f"epochs would change little; for a lower loss: {_more_capacity(run)}, or more rows."
            ),
        )
    return (
        f"Sound: the training loss fell from {parts[0]:.3f} to {parts[-1]:.3f} and levels off.",
    )


def _fifths(losses: Sequence[float]) -> list[float]:
    """Return the mean of each fifth of the losses."""
    edges = [round(len(losses) * part / 5) for part in range(6)]
    return [fmean(losses[a:b]) for a, b in itertools.pairwise(edges)]


def _epochs_until(
    best: Mapping[str, float], validation: Sequence[Mapping[str, float]], run: Run
) -> float:
    share = best["step"] / validation[-1]["step"]
    return max(0.5, round(2 * share * run.num_train_epochs) / 2)


def _more_capacity(run: Run) -> str:
    if run.r is None:
        return f"training.learning_rate: {_rounded(run.learning_rate * 2)}, or a larger base model"
    return (
        f"lora.r: {2 * run.r} instead of {run.r}, or "
        f"training.learning_rate: {_rounded(run.learning_rate * 2)}"
    )


def _smaller_rank(run: Run) -> str:
    return f", lora.r: {run.r // 2}" if run.r is not None and run.r >= 8 else ""


def _rounded(rate: float) -> str:
    """Return a rate as YAML reads it as a number: 2.0e-4, not 2e-4."""
    mantissa, exponent = f"{rate:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
