"""A classification head: transformers' Trainer with what SFTTrainer does for a language model.

    loss = mean over rows of -log softmax(score(h_last))[label]        h_last: of the last token

The loss is taken from the logits here. What a model returns as its own may hold more (PEFT adds
AdaLoRA's orthogonality term there, to the validation loss as well), and not every class divides by
the rows of all accumulated batches. PEFT trains and saves the head beside the adapter (SEQ_CLS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.loading import agree_on_padding

if TYPE_CHECKING:
    import torch
    from transformers import Trainer

__all__ = ["HEADS", "classifier_trainer", "label_loss"]

#: What PEFT trains whole under SEQ_CLS; it adds these names to `modules_to_save` itself.
HEADS = ("score", "classifier")


def label_loss(
    outputs: Any,  # noqa: ANN401 - a model's output
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
) -> torch.Tensor:
    """Return the cross entropy of the labels, summed, over the rows of the whole step."""
    from torch.nn.functional import cross_entropy

    total = cross_entropy(outputs.logits.float(), labels, reduction="sum")
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def classifier_trainer() -> type[Trainer]:
    """Return the class; transformers is imported here and not on top."""
    from transformers import DataCollatorWithPadding, Trainer

    class ClassifierTrainer(Trainer):
        """Trainer of a head: pads on the right, counts tokens as TRL does."""

        def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - theirs
            tokenizer, model = settings["processing_class"], settings.pop("model")
            adapter = settings.pop("peft_config")
            agree_on_padding(tokenizer, model)
            super().__init__(
                model=model if adapter is None else _with_adapter(model, adapter),
                data_collator=DataCollatorWithPadding(tokenizer),
                compute_loss_func=label_loss,
                **settings,
            )
            self.tokens_seen = 0
            self._metrics: dict[str, dict[str, list[float]]] = {"train": {}, "eval": {}}

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - theirs
            if model.training:
                seen = self.accelerator.gather(inputs["attention_mask"].sum())
                self.tokens_seen += int(seen.sum())
            return super().compute_loss(model, inputs, *args, **kwargs)

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - theirs
            super().log({**logs, "num_tokens": self.tokens_seen}, *args, **kwargs)

    return ClassifierTrainer


def _with_adapter(model: Any, config: Any) -> Any:  # noqa: ANN401 - a PreTrainedModel, a PeftConfig
    from peft import TaskType, get_peft_model

    config.task_type = TaskType.SEQ_CLS
    # The habit of naming the head is accepted; named twice, PEFT lists it twice.
    saved = [name for name in config.modules_to_save or () if name not in HEADS]
    config.modules_to_save = saved or None
    return get_peft_model(model, config)
