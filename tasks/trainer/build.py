"""Spec to trainer: the arguments, the model, the adapter, the rows and the schedule.

Defaults of TRL 1.16 that are undone here: bf16 and gradient checkpointing on (also on a CPU), a
learning rate for full fine-tuning, nan hidden from the log, adapters of a 4-bit base in bfloat16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tasks.encoding import Encoder
from tasks.errors import RecipeError
from tasks.loading import load_base, load_tokenizer
from tasks.methods import METHODS
from tasks.methods.freezing import freeze
from tasks.trainer.anchor import anchor_of
from tasks.trainer.classifying import classifier_trainer
from tasks.trainer.loop import loop_class
from tasks.trainer.order import GROUPED, lengths_of, measure
from tasks.trainer.progress import tell
from tasks.trainer.rows import count_labels, encode_split, encode_trained
from tasks.trainer.spec import TrainSpec
from tasks.trainer.variants import keep_start, variant_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel
    from trl import SFTConfig, SFTTrainer

    from tasks.recipe import QuantizationSection

__all__ = ["Schedule", "build_trainer", "parameter_counts", "schedule"]

#: Saves of a run whose recipe does not say; a kill then costs at most a twentieth of it.
SAVES_A_RUN = 20


@dataclass(frozen=True)
class Schedule:
    """The arithmetic of a run: sequences are rows, or packed rows."""

    sequences: int
    sequences_a_step: int
    steps_an_epoch: int
    steps: int
    save_steps: int
    eval_steps: int


def schedule(spec: TrainSpec, sequences: int) -> Schedule:
    """Return steps as transformers counts them.

    100 rows, 8 a batch, 2 accumulated, 3 epochs: ceil(ceil(100 / 8) / 2) = 7 an epoch, 21 in all.
    """
    training, chosen = spec.training, spec.hyperparameters
    batches = math.ceil(
        math.ceil(sequences / chosen.per_device_train_batch_size) / training.num_processes
    )
    an_epoch = max(1, math.ceil(batches / chosen.gradient_accumulation_steps))
    by_epochs = math.ceil(chosen.num_train_epochs * an_epoch)
    steps = chosen.max_steps if chosen.max_steps > 0 else by_epochs
    by_steps = training.eval_strategy == "steps" and training.eval_steps is not None
    return Schedule(
        sequences=sequences,
        sequences_a_step=chosen.per_device_train_batch_size
        * chosen.gradient_accumulation_steps
        * training.num_processes,
        steps_an_epoch=an_epoch,
        steps=steps,
        save_steps=training.save_steps or min(math.ceil(steps / SAVES_A_RUN), an_epoch),
        eval_steps=training.eval_steps if by_steps and training.eval_steps else an_epoch,
    )


def build_trainer(spec: TrainSpec) -> tuple[SFTTrainer, Schedule]:
    """Return the trainer, ready to train, and its schedule.

    Raises:
        RecipeError: An optimizer or tracker that does not exist or is not installed, or `freeze`
            names what the model does not have.
        DataError: The rows are not those that were prepared.
        ModelError: The base model does not load.
    """
    args = _arguments(spec)
    tokenizer = load_tokenizer(
        spec.base_path,
        spec.dataset.chat_template,
        trust_remote_code=spec.model.trust_remote_code,
    )
    encoder = Encoder(tokenizer, spec.dataset, spec.row_type)
    train = encode_trained(spec, encoder)
    model = _base(spec)
    if spec.freeze is not None:
        freeze(model, spec.freeze)
    variant = variant_of(spec)
    around = classifier_trainer() if spec.labels else None
    trainer = loop_class(variant, spec.lora, around)(
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=encode_split(spec, encoder, spec.validation) if spec.evaluates else None,
        processing_class=tokenizer,
        peft_config=None
        if variant is None
        else variant.peft_config(spec.hyperparameters, spec.lora),
    )
    if variant is not None and hasattr(variant, "adapt"):
        variant.adapt(trainer.model)
    _keep_adapters_in_float32(trainer)
    keep_start(spec, trainer.model)
    cast("Any", trainer).anchor = anchor_of(spec, trainer.model, encoder)
    _nothing_was_lost(spec, trainer)
    _group_where_it_pays(spec, trainer)
    planned = schedule(spec, len(cast("Dataset", trainer.train_dataset)))
    args.save_steps, args.eval_steps = planned.save_steps, planned.eval_steps
    return trainer, planned


def _base(spec: TrainSpec) -> PreTrainedModel:
    """Return the base model; of a classifier its new head is drawn while it is loaded."""
    from transformers import set_seed

    if spec.labels:
        set_seed(spec.training.seed)
    method = METHODS[spec.method]
    return load_base(
        spec.base_path,
        spec.model,
        dtype=method.base_dtype(spec.hyperparameters.dtype),
        quantization=_quantization(spec) if method.QUANTIZED else None,
        sharded=spec.sharded,
        labels=spec.labels,
    )


def _quantization(spec: TrainSpec) -> QuantizationSection:
    """Store packed weights of a sharded base in the type that is computed in: bytes stay whole."""
    if not spec.sharded or "bnb_4bit_quant_storage" in spec.quantization.handed_on():
        return spec.quantization
    stored = {"bnb_4bit_quant_storage": spec.hyperparameters.dtype}
    return type(spec.quantization).model_validate(spec.quantization.model_dump() | stored)


def _group_where_it_pays(spec: TrainSpec, trainer: SFTTrainer) -> None:
    """Put rows of like length into a batch unless the recipe says which, or padding is cheap."""
    if spec.dataset.packing or "train_sampling_strategy" in spec.training.handed_on():
        return
    args, micro_batch = trainer.args, spec.hyperparameters.per_device_train_batch_size
    batch = micro_batch * args.gradient_accumulation_steps * args.world_size
    lengths = lengths_of(cast("Dataset", trainer.train_dataset))
    padding = measure(lengths, micro_batch, batch, args.seed)
    if padding.pays:
        args.train_sampling_strategy = GROUPED
        tell(
            f"rows of like length share a batch: padding is {padding.grouped:.1%} of it instead of "
            f"{padding.at_random:.1%} (training.train_sampling_strategy: random mixes them)"
        )


def parameter_counts(trainer: SFTTrainer) -> tuple[int, int]:
    """Return trained parameters and all parameters; a packed 4-bit weight counts in full."""
    from bitsandbytes.nn import Params4bit

    trained = total = 0
    for parameter in cast("PreTrainedModel", trainer.model).parameters():
        state: Any = parameter.quant_state if isinstance(parameter, Params4bit) else None
        total += parameter.numel() if state is None else math.prod(state.shape)
        trained += parameter.numel() if parameter.requires_grad else 0
    return trained, total


def _arguments(spec: TrainSpec) -> SFTConfig:
    import torch
    from trl import SFTConfig

    training, chosen = spec.training, spec.hyperparameters
    _tracker_is_there(training.report_to)
    on_gpu = torch.cuda.is_available()
    others: dict[str, Any] = {"dataloader_pin_memory": on_gpu} | training.handed_on()
    try:
        args = SFTConfig(
            output_dir=str(spec.checkpoints),
            learning_rate=chosen.learning_rate,
            num_train_epochs=chosen.num_train_epochs,
            max_steps=chosen.max_steps,
            per_device_train_batch_size=chosen.per_device_train_batch_size,
            per_device_eval_batch_size=training.per_device_eval_batch_size,
            gradient_accumulation_steps=chosen.gradient_accumulation_steps,
            gradient_checkpointing=chosen.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            warmup_steps=training.warmup_steps,
            lr_scheduler_type=training.lr_scheduler_type,
            optim=training.optim,
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_grad_norm,
            seed=training.seed,
            bf16=chosen.dtype == "bfloat16",
            fp16=chosen.dtype == "float16",
            use_cpu=not (on_gpu or torch.backends.mps.is_available()),
            **others,
            max_length=spec.max_length,
            packing=spec.dataset.packing,
            eval_packing=False,
            # Evaluation, saving and rotation are timed and done by `tasks/trainer/progress.py`.
            eval_strategy="steps" if spec.evaluates else "no",
            eval_steps=1 if spec.evaluates else None,
            save_strategy="steps",
            save_total_limit=None,
            metric_for_best_model="loss" if spec.evaluates else None,
            greater_is_better=False,
            logging_steps=training.logging_steps,
            logging_nan_inf_filter=False,
            report_to=training.report_to,
            run_name=spec.home.parent.name,
            disable_tqdm=True,
        )
        # With several cards in sight, one process would give each a batch (nn.DataParallel).
        args._n_gpu = min(args.n_gpu, 1)
        return args
    except (ValueError, ImportError, RuntimeError) as error:
        raise RecipeError(f"training: {error}") from None


def _tracker_is_there(report_to: str) -> None:
    from transformers.integrations import get_available_reporting_integrations

    installed = get_available_reporting_integrations()
    if report_to not in ("none", *installed):
        raise RecipeError(
            f"training.report_to = {report_to}: it is not installed. Install it (`pip install "
            f"{report_to}`), or take one of: {', '.join(('none', *sorted(installed)))}. Loss, "
            "learning rate and memory are in metrics.jsonl either way."
        )


def _keep_adapters_in_float32(trainer: SFTTrainer) -> None:
    """TRL trains adapters of a 4-bit base in bfloat16, but a resumed run loads them as float32."""
    import torch

    for name, parameter in cast("PreTrainedModel", trainer.model).named_parameters():
        if parameter.requires_grad or "lora_" in name:  # LoRA-FA freezes its A
            parameter.data = parameter.data.to(torch.float32)


def _nothing_was_lost(spec: TrainSpec, trainer: SFTTrainer) -> None:
    """TRL drops fully masked rows and packing cuts long ones, both silently: not here."""
    rows = cast("Dataset", trainer.train_dataset)
    packed = "seq_lengths" in rows.column_names
    count = sum(map(len, rows["seq_lengths"])) if packed else len(rows)
    wanted = spec.trained.rows
    assert count == wanted, f"{count} rows reach the trainer, not {wanted}"
    labels, learned = count_labels(rows), spec.trained.loss_tokens
    assert labels == learned, f"{labels} labels, not {learned}"
    if spec.evaluates:
        count = len(cast("Dataset", trainer.eval_dataset))
        assert count == spec.validation.rows, f"{count} rows, not {spec.validation.rows}"
    assert trainer.accelerator.num_processes == spec.training.num_processes
