"""The loop: TRL's SFTTrainer, with a loss that must stay a number and an exact validation loss.

A classification head is trained in the same loop around transformers' Trainer (`classifying.py`).

A variant of LoRA may bring its own optimizer, a penalty on the training loss, and an act after each
step; what TRL calls the loss is not the model's own, so a penalty that PEFT adds there is lost.
EWC's penalty is added here too: to the training loss, never to that of validation.

The loss is computed at the positions that are learned, on a CPU too: TRL's fused head scores every
position where Triton is missing, prompts and padding included, a fifth of a step of the quickstart.

transformers' `eval_loss` is a mean of batch means; it changes with the batch size and the number of
processes. Here it is the mean over all loss-bearing validation tokens, sum / count, and evaluating
draws no random number, so that it cannot change what is trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import DivergedError
from tasks.methods import ewc
from tasks.recipe import LoraSection
from tasks.trainer.order import GROUPED, LikeLength, lengths_of
from tasks.trainer.sharding import sharding_trainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel, Trainer
    from trl import SFTTrainer

    from tasks.methods.ewc import Anchor

__all__ = ["diverged", "loop_class", "validation_loss"]


def diverged(
    learning_rate: float, step: int, what: str, ewc_weight: float | None = None
) -> DivergedError:
    """Return the error for a run that went wrong numerically."""
    pull = "" if ewc_weight is None else f" or of ewc.weight = {ewc_weight:g}"
    return DivergedError(
        f"training.learning_rate = {learning_rate:g}: {what} at step {step}; training was stopped "
        f"and no result was kept. Try a third of it ({learning_rate / 3:.1g}){pull} or a longer "
        "training.warmup_steps; if that does not help, look for broken rows in the data report."
    )


def loop_class(
    variant: ModuleType | None, lora: LoraSection, around: type[Trainer] | None = None
) -> type[SFTTrainer]:
    """Return the class; TRL is imported here and not on top.

    Args:
        variant: The module of `tasks/methods/` that the adapter comes from; None: no adapter.
        lora: The recipe's section, for the optimizer of the variant.
        around: A trainer class; None: TRL's SFTTrainer.
    """
    _score_learned_positions_only()
    trainer: Any = sharding_trainer(around)

    class Loop(trainer):
        """A trainer whose `eval_loss` is exact and whose training loss is finite."""

        anchor: Anchor | None = None  # what EWC holds the weights to; None without it

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ANN401 - theirs
            if self.args.train_sampling_strategy == GROUPED:
                return _like_length(self)
            return super()._get_train_sampler(train_dataset)

        def create_optimizer(self, model: Any = None) -> Any:  # noqa: ANN401 - theirs
            if hasattr(variant, "make_optimizer") and self.optimizer is None:
                self.optimizer = variant.make_optimizer(self.model, self.args, lora)
            return super().create_optimizer(model)

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - TRL's signature
            if not cast("PreTrainedModel", self.model).training:
                return super().compute_loss(*args, **kwargs)
            # Made first, so that its backward pass is last and finds every gradient there.
            pull = None if self.anchor is None else ewc.penalty(self.model, self.anchor)
            loss = super().compute_loss(*args, **kwargs)
            _refuse_what_is_no_number(self, loss.item())
            pulls = [] if pull is None else [pull]
            if hasattr(variant, "penalty"):
                pulls.append(variant.penalty(self.model))
            # The losses of accumulated batches are summed, each divided by all their tokens.
            return loss + sum(pulls) / self.current_gradient_accumulation_steps

        def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:  # noqa: ANN401
            return _evaluated(self, super().compute_loss)

    return Loop


def _score_learned_positions_only() -> None:
    """Let TRL's head on a CPU pick the learned positions first, as it does on a GPU.

    Its question is "is there Triton?", because fixed shapes matter to compiling devices; a CPU does
    not compile. The kernels ask for themselves and still get the right answer.
    """
    from trl.kernels.chunked_logprob import _use_triton
    from trl.trainer import utils

    def picks_positions(device: torch.device) -> bool:
        return device.type == "cpu" or _use_triton(device)

    setattr(utils, "_use_triton", picks_positions)  # noqa: B010 - a checker forbids the plain form


def _evaluated(trainer: Any, loss_of: Callable[..., Any]) -> dict[str, float]:  # noqa: ANN401
    """Score the validation rows, log what is found, and tell the callbacks."""
    trainer.model.eval()
    metrics = validation_loss(trainer, loss_of)
    trainer._metrics["eval"].clear()
    trainer.log(dict(metrics))
    told = trainer.callback_handler.on_evaluate
    trainer.control = told(trainer.args, trainer.state, trainer.control, metrics)
    return metrics


def _like_length(trainer: SFTTrainer) -> LikeLength:
    args = trainer.args
    a_step = trainer._train_batch_size * args.gradient_accumulation_steps * args.world_size
    return LikeLength(lengths_of(cast("Dataset", trainer.train_dataset)), a_step, args.seed)


def _refuse_what_is_no_number(trainer: SFTTrainer, loss: float) -> None:
    if not math.isfinite(loss):
        anchor: Anchor | None = cast("Any", trainer).anchor
        weight = None if anchor is None else anchor.weight
        step = trainer.state.global_step + 1
        raise diverged(trainer.args.learning_rate, step, f"the loss became {loss}", weight)


def validation_loss(trainer: SFTTrainer, loss_of: Callable[..., Any]) -> dict[str, float]:
    """Return the mean loss over all validation tokens, and how many there are.

    Every process scores all rows: a shared-out last batch would hold rows twice.
    """
    import torch
    from accelerate.utils import broadcast

    rows = cast("Dataset", trainer.eval_dataset)
    collate: Any = trainer.data_collator
    size = trainer.args.per_device_eval_batch_size
    total, tokens = 0.0, 0
    with torch.no_grad(), trainer.compute_loss_context_manager():
        for first in range(0, len(rows), size):
            picked = [rows[i] for i in range(first, min(first + size, len(rows)))]
            batch = trainer._prepare_inputs(collate(picked))
            labels = batch["labels"]
            # A token's label is learned at the token before it; a row's label stands alone.
            count = int(((labels[:, 1:] if labels.dim() > 1 else labels) != -100).sum())
            total += loss_of(trainer.model, batch).item() * count
            tokens += count
    loss = total / tokens
    if trainer.args.world_size > 1:
        # The best step and an early stop hang on it: the same bits in every process.
        loss = broadcast(torch.tensor(loss, device=trainer.args.device)).item()
    return {"eval_loss": loss, "eval_tokens": tokens}
