"""Watching a run: progress events, early stopping, the best weights, sealed checkpoints, SIGTERM.

`Watch` has the methods of transformers' TrainerCallback; `build_watch` joins the two, so that this
file imports nothing heavy. All it knows at a checkpoint goes into the seal (`checkpoints.py`) and
comes back after a kill.
"""

from __future__ import annotations

import math
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DivergedError, StageError
from tasks.processes import asked_to_stop, emit
from tasks.trainer import checkpoints, memory
from tasks.trainer.loop import diverged
from tasks.trainer.metrics import add_metrics, write_metrics
from tasks.trainer.sharding import whole_norm
from tasks.trainer.spec import TrainSpec
from tasks.trainer.together import anyone, is_main, wait_for_all
from tasks.trainer.variants import save_weights, variant_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainerControl, TrainerState

__all__ = ["Watch", "build_watch", "tell"]

Gather = Callable[[], dict[str, Any] | None]

#: Least time between two progress events.
PAUSE_SECONDS = 0.5

#: Heuristic: this many logged losses in a row above twice ln(words or labels), the loss of a
#: uniform guess, and above twice the first one, and the run is lost.
BAD_LOGS = 3


def tell(text: str) -> None:
    """Send a line for the user to the parent."""
    if is_main():
        emit("log", text=text)


class Watch:
    """What happens around the steps.

    Args:
        spec: The run.
        facts: What the checkpoint's seal said when this run is a continuation, else empty.
        began: `time.monotonic()` at the start of this process.
        gather: Puts a sharded model's weights together, called in every process; else gives None.
    """

    def __init__(
        self, spec: TrainSpec, facts: dict[str, Any], began: float, gather: Gather
    ) -> None:
        self.spec, self.gather = spec, gather
        self.variant = variant_of(spec)
        self.began = began
        self.earlier_seconds = float(facts.get("wall_seconds", 0))
        self.step_seconds = float(facts.get("step_seconds", 0))
        self.earlier_tokens = self.tokens = int(facts.get("tokens", 0))
        self.loss: float | None = None
        self.rate: float | None = None
        self.validation_loss: float | None = None
        self.bad_logs = 0
        self.told_at = self.step_began = 0.0
        self.asked_to_stop = False

    @property
    def metrics(self) -> Path:
        """The file of measured figures, which grows while the run goes on."""
        return self.spec.home / "metrics.jsonl"

    @property
    def wall_seconds(self) -> float:
        """Seconds of all parts of the run, as far as checkpoints know of them."""
        return self.earlier_seconds + time.monotonic() - self.began

    @property
    def tokens_per_second(self) -> float:
        """Trained tokens, without padding, in the time spent in steps (not saving, validating)."""
        return self.tokens / self.step_seconds if self.step_seconds else 0.0

    def on_train_begin(
        self, _args: object, state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """From now on SIGTERM and SIGINT mean: finish the step, save, stop."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._asked)
        if is_main():
            write_metrics(self.metrics, state.log_history)
        self._progress(state)

    def _asked(self, *_: object) -> None:
        self.asked_to_stop = True
        asked_to_stop.set()

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Start the clock of a step."""
        self.step_began = time.monotonic()

    def on_pre_optimizer_step(
        self,
        _args: object,
        state: TrainerState,
        _control: TrainerControl,
        **event: Any,  # noqa: ANN401 - transformers' event
    ) -> None:
        """Refuse a gradient that is no number before it spoils the weights, and blames later rows.

        fp16 is left out: its scaler skips such steps, and expects them.
        """
        if self.spec.hyperparameters.dtype == "float16":
            return
        norm = whole_norm([p.grad for p in event["model"].parameters() if p.grad is not None])
        if not math.isfinite(norm):
            raise self._diverged(state.global_step + 1, f"the gradient became {norm}")

    def _diverged(self, step: int, what: str) -> DivergedError:
        ewc = self.spec.ewc
        rate = self.spec.hyperparameters.learning_rate
        return diverged(rate, step, what, None if ewc is None else ewc.weight)

    def on_optimizer_step(
        self,
        _args: object,
        state: TrainerState,
        _control: TrainerControl,
        **event: Any,  # noqa: ANN401 - transformers' event
    ) -> None:
        """Let the variant act between the optimizer's step and the clearing of gradients."""
        if self.variant is not None and hasattr(self.variant, "after_step"):
            self.variant.after_step(event["model"], state.global_step + 1)

    def on_step_end(
        self, _args: object, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Save when asked to stop; log whenever something is saved, so that no loss is lost."""
        self.step_seconds += time.monotonic() - self.step_began
        if self.spec.training.num_processes > 1:  # they must stop at the same step
            self.asked_to_stop = anyone(self.asked_to_stop)
        if self.asked_to_stop:
            control.should_save = control.should_training_stop = True
        if control.should_save or control.should_evaluate:
            control.should_log = True
        last = state.global_step >= state.max_steps
        if last or time.monotonic() - self.told_at >= PAUSE_SECONDS:
            self._progress(state)

    def on_log(
        self,
        _args: object,
        state: TrainerState,
        _control: TrainerControl,
        **event: Any,  # noqa: ANN401 - transformers' event
    ) -> None:
        """Remember the loss, measure, and stop a run that is lost."""
        logs: dict[str, float] = event["logs"]
        if "loss" in logs:
            self.loss, self.rate = logs["loss"], logs["learning_rate"]
            self.tokens = self.earlier_tokens + int(logs["num_tokens"])
        self._measure(state)
        if "loss" not in logs:
            return
        assert self.loss is not None
        norm = logs.get("grad_norm", 0.0)
        if not math.isfinite(norm) and self.spec.hyperparameters.dtype != "float16":
            raise self._diverged(state.global_step, f"the gradient became {norm}")
        first = next(entry["loss"] for entry in state.log_history if "loss" in entry)
        words = len(self.spec.labels) or event["model"].config.get_text_config().vocab_size
        lost = self.loss > 2 * max(first, math.log(words))
        self.bad_logs = self.bad_logs + 1 if lost else 0
        if self.bad_logs >= BAD_LOGS:
            what = f"the loss rose from {first:.2f} to {self.loss:.2f}"
            raise self._diverged(state.global_step, what)

    def on_evaluate(
        self,
        _args: object,
        state: TrainerState,
        control: TrainerControl,
        **event: Any,  # noqa: ANN401 - transformers' event
    ) -> None:
        """Keep the best weights by validation loss, stop when it no longer falls, save."""
        loss = self.validation_loss = float(event["metrics"]["eval_loss"])
        if not math.isfinite(loss):
            raise self._diverged(state.global_step, f"the validation loss became {loss}")
        better = state.best_metric is None or loss < state.best_metric
        if better and self.spec.training.load_best_model_at_end:
            self._keep_best(state, event["model"])
        # A kill right after a save must not lose this evaluation: it is saved, too.
        control.should_save = True
        if self._patience_ran_out(state):
            tell(f"stopped early at step {state.global_step}: the validation loss no longer falls")
            control.should_training_stop = True

    def on_save(
        self, _args: object, state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """Seal the checkpoint that was just written, then delete old ones."""
        wait_for_all()
        if is_main():
            root = self.spec.checkpoints
            facts = {
                "step": state.global_step,
                "best_step": self.kept_best(state),
                "wall_seconds": self.wall_seconds,
                "step_seconds": self.step_seconds,
                "tokens": self.tokens,
                "sharded": self.spec.sharded,
            }
            folder = root / f"checkpoint-{state.global_step}"
            checkpoints.seal(folder, facts, self.spec.training.num_processes)
            checkpoints.rotate(root, self.spec.training.save_total_limit)
        wait_for_all()

    def kept_best(self, state: TrainerState) -> int | None:
        """Return the step of the best weights, if they are the result and not the last ones."""
        return (self.spec.training.load_best_model_at_end and state.best_global_step) or None

    def refuse_half_a_run(self, state: TrainerState) -> None:
        """A run that was asked to stop has no result yet.

        Raises:
            StageError: It was stopped before its last step.
        """
        if self.asked_to_stop and state.global_step < state.max_steps:
            raise StageError(
                f"train: stopped on request after step {state.global_step} of {state.max_steps}; "
                "a checkpoint was saved. Run the same recipe again to go on from there."
            )

    def _measure(self, state: TrainerState) -> None:
        """Add what was measured to transformers' own entry, which goes into the checkpoint."""
        entry = state.log_history[-1]
        entry["tokens_per_second"] = round(self.tokens_per_second, 1)
        entry["memory_bytes"] = memory.peak_bytes()
        entry["wall_seconds"] = round(self.wall_seconds, 2)
        if is_main():
            add_metrics(self.metrics, entry)

    def _keep_best(self, state: TrainerState, model: PreTrainedModel) -> None:
        weights = self.gather()
        if not is_main():
            return
        home = checkpoints.best_copy(self.spec.checkpoints, state.global_step)
        half = home.with_name(f".{home.name}.half")
        for folder in (half, home):
            shutil.rmtree(folder, ignore_errors=True)
        save_weights(self.spec, model, half, weights)
        checkpoints.seal(half, {}, rng_states=0)
        half.rename(home)

    def _patience_ran_out(self, state: TrainerState) -> bool:
        patience = self.spec.training.early_stopping_patience
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        return patience is not None and len(losses) - 1 - losses.index(min(losses)) >= patience

    def _progress(self, state: TrainerState) -> None:
        self.told_at = time.monotonic()
        words = ("loss {:.3f}", self.loss), ("val {:.3f}", self.validation_loss)
        words = (*words, ("lr {:.1e}", self.rate))
        parts = [word.format(value) for word, value in words if value is not None]
        if self.tokens:
            left = (state.max_steps - state.global_step) * self.step_seconds / state.global_step
            parts += [f"{self.tokens_per_second:,.0f} tok/s", f"{left:,.0f} s left"]
            parts.append(f"peak {memory.gib(memory.peak_bytes())}")
        if is_main():
            emit(
                "progress",
                stage="train",
                done=state.global_step,
                total=state.max_steps,
                text=" · ".join(parts),
            )


def build_watch(spec: TrainSpec, facts: dict[str, Any], began: float, gather: Gather) -> Watch:
    """Return a watch that transformers accepts as a callback."""
    from transformers import TrainerCallback

    joined: Any = type("Watch", (Watch, TrainerCallback), {})
    return joined(spec, facts, began, gather)
