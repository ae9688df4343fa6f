"""Sharding in the training child: begun where accelerate would not, checked, and put together again.

accelerate 1.15 shards on accelerators only: on CPUs its state drops the FSDP plugin and the run goes
on as plain DDP without a word. FSDP2 itself (torch's `fully_shard`) runs over gloo, so the plugin is
put back there, and everything after that is accelerate's own path, the same as on cards. On any
device the model is looked at before the first step: what is not sharded does not train.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import StageError
from tasks.sections.sharding import DEEPSPEED
from tasks.trainer.spec import TrainSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from trl import SFTTrainer

__all__ = [
    "guard",
    "held",
    "refuse_unsharded",
    "shard_on_cpu",
    "sharding_trainer",
    "whole_norm",
    "whole_weights",
]


def sharding_trainer(around: Any = None) -> type[SFTTrainer]:  # noqa: ANN401 - a class
    """Return a trainer, TRL's if none is given, that shards wherever the launcher asked for it."""
    from trl import SFTTrainer

    base: Any = around or SFTTrainer

    class Sharding(base):
        def create_accelerator_and_postprocess(self) -> None:
            super().create_accelerator_and_postprocess()
            shard_on_cpu(self)

    return Sharding


def shard_on_cpu(trainer: SFTTrainer) -> None:
    """Put accelerate's FSDP plugin back where the launcher asked for it and it was dropped.

    Gradients are reduced in float32 in any precision, as DDP does.
    """
    from accelerate import PartialState
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
    from torch.distributed.fsdp import MixedPrecisionPolicy

    if os.environ.get("ACCELERATE_USE_FSDP", "false") != "true":
        return
    state: Any = trainer.accelerator.state
    if state.distributed_type == DistributedType.MULTI_CPU:
        plugin = FullyShardedDataParallelPlugin()
        if state._mixed_precision != "no":
            plugin.set_mixed_precision(state._mixed_precision)
        state.fsdp_plugin = plugin
        state.distributed_type = DistributedType.FSDP
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        cast("Any", trainer).is_fsdp_enabled = True
    policy = state.fsdp_plugin.mixed_precision_policy
    if policy is not None:
        import torch

        state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
            param_dtype=getattr(policy, "param_dtype", None), reduce_dtype=torch.float32
        )


def held(model: torch.nn.Module) -> tuple[int, int]:
    """Return how many numbers this process holds of the model's parameters, and how many there are."""
    from torch.distributed.tensor import DTensor

    here = whole = 0
    for parameter in model.parameters():
        whole += parameter.numel()
        is_share = isinstance(parameter, DTensor)
        here += parameter.to_local().numel() if is_share else parameter.numel()
    return here, whole


def refuse_unsharded(spec: TrainSpec, trainer_state: Any, model: torch.nn.Module) -> str:  # noqa: ANN401 - accelerate's
    """Return in words how the model is sharded, before its first step.

    A process must hold nearer to its share than to the whole: rows that do not divide evenly leave
    some processes with more.

    Raises:
        StageError: It holds (almost) everything: this is plain DDP.
    """
    profile, processes = spec.hyperparameters.accelerate_config, spec.training.num_processes
    if profile in DEEPSPEED:
        plugin = getattr(trainer_state, "deepspeed_plugin", None)
        stage = None if plugin is None else plugin.zero_stage
        if stage != int(profile[-1]):
            raise StageError(
                f"train: training.accelerate_config = {profile}, but DeepSpeed runs "
                f"{'not at all' if stage is None else f'stage {stage}'}. Nothing was trained."
            )
        return f"{profile}: DeepSpeed ZeRO stage {stage} over {processes} processes"
    here, whole = held(model)
    if here > whole * (1 + 1 / processes) / 2:
        raise StageError(
            f"train: training.accelerate_config = {profile}, but this process holds {here:,} of the "
            f"{whole:,} parameters: the model is not sharded over {processes} processes, it is plain "
            "DDP. Nothing was trained."
        )
    return f"{profile}: each of {processes} processes holds {here / whole:.0%} of the parameters"


def guard(spec: TrainSpec, trainer: SFTTrainer, tell: Callable[[str], None]) -> Any:  # noqa: ANN401
    """Return a callback that looks at the model before its first step."""
    from transformers import TrainerCallback

    class Guard(TrainerCallback):
        def on_train_begin(self, *_: object, **event: Any) -> None:  # noqa: ANN401 - transformers'
            tell(refuse_unsharded(spec, trainer.accelerator.state, event["model"]))

    return Guard()


def whole_weights(spec: TrainSpec, trainer: SFTTrainer) -> dict[str, Any] | None:
    """Return the weights put together, on the first process; every process has to call this.

    Of an adapter only what is trained is gathered. The other processes get an empty dictionary, and
    None is returned where nothing is sharded.
    """
    if not spec.sharded:
        return None
    model: Any = trainer.model
    if spec.hyperparameters.accelerate_config in DEEPSPEED:
        return trainer.accelerator.get_state_dict(trainer.model_wrapped)
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    adapter = spec.method != "full"
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=adapter)
    weights = get_model_state_dict(model, options=options)
    tied = () if adapter else getattr(model, "all_tied_weights_keys", {})
    return {name: tensor for name, tensor in weights.items() if name not in tied}


def whole_norm(gradients: list[torch.Tensor]) -> float:
    """Return the norm over all gradients, those of other processes included."""
    from torch.distributed.tensor import DTensor
    from torch.nn.utils import get_total_norm

    norm = get_total_norm(gradients)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
