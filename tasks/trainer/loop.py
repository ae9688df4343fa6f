"""The loop: TRL's SFTTrainer, with a loss that must stay a number and an exact validation loss.

transformers' `eval_loss` is a mean of batch means; it changes with the batch size and the number of
processes. Here it is the mean over all loss-bearing validation tokens, sum / count, and evaluating
draws no random number, so that it cannot change what is trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import RecipeError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel
    from trl import SFTTrainer

__all__ = ["diverged", "loop_class"]


def diverged(learning_rate: float, step: int, what: str) -> RecipeError:
    """Return the error for a run that went wrong numerically."""
    return RecipeError(
        f"training.learning_rate = {learning_rate:g}: {what} at step {step}; training was stopped "
        f"and no result was kept. Try a third of it ({learning_rate / 3:.1g}) or a longer "
        "training.warmup_steps; if that does not help, look for broken rows in the data report."
    )


def loop_class() -> type[SFTTrainer]:
    """Return the class; TRL is imported here and not on top."""
    import torch
    from accelerate.utils import broadcast
    from trl import SFTTrainer

    class Loop(SFTTrainer):
        """SFTTrainer whose `eval_loss` is exact and whose training loss is finite."""

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - TRL's signature
            loss = super().compute_loss(*args, **kwargs)
            if cast("PreTrainedModel", self.model).training and not math.isfinite(loss.item()):
                rate = self.args.learning_rate
                raise diverged(rate, self.state.global_step + 1, f"the loss became {loss.item()}")
            return loss

        def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:  # noqa: ANN401
            cast("PreTrainedModel", self.model).eval()
            metrics = self._validation_loss()
            self._metrics["eval"].clear()
            self.log(dict(metrics))
            self.control = self.callback_handler.on_evaluate(
                self.args, self.state, self.control, metrics
            )
            return metrics

        def _validation_loss(self) -> dict[str, float]:
            """Every process scores all rows: a shared-out last batch would hold rows twice."""
            rows = cast("Dataset", self.eval_dataset)
            collate: Any = self.data_collator
            size = self.args.per_device_eval_batch_size
            total, tokens = 0.0, 0
            with torch.no_grad(), self.compute_loss_context_manager():
                for first in range(0, len(rows), size):
                    picked = [rows[i] for i in range(first, min(first + size, len(rows)))]
                    batch = self._prepare_inputs(collate(picked))
                    count = int((batch["labels"][..., 1:] != -100).sum())
                    total += super().compute_loss(self.model, batch).item() * count
                    tokens += count
            loss = total / tokens
            if self.args.world_size > 1:
                # The best step and an early stop hang on it: the same bits in every process.
                loss = broadcast(torch.tensor(loss, device=self.args.device)).item()
            return {"eval_loss": loss, "eval_tokens": tokens}

    return Loop
