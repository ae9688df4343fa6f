"""The anchor of EWC: Fisher and start weights of a run, computed once and kept with its checkpoints.

    checkpoints/anchor/model.safetensors    the trained weights at the start
    checkpoints/anchor/fisher.safetensors   the diagonal Fisher information

A run that goes on after a kill reads them, sealed like a checkpoint; a torn one is made anew from
the base model, which every process of a run starts from.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoder
from tasks.methods.ewc import Anchor, fisher_of
from tasks.processes import emit
from tasks.trainer import checkpoints
from tasks.trainer.rows import encode_general
from tasks.trainer.spec import TrainSpec

if TYPE_CHECKING:
    import torch

__all__ = ["anchor_of"]

START, FISHER = "model.safetensors", "fisher.safetensors"


def anchor_of(
    spec: TrainSpec,
    model: Any,  # noqa: ANN401 - a PreTrainedModel at its start weights
    encoder: Encoder,
) -> Anchor | None:
    """Return the anchor of a run, from its checkpoints' folder or computed; None without `ewc`."""
    if spec.ewc is None:
        return None
    from accelerate import PartialState

    home = spec.checkpoints / "anchor"
    with PartialState().main_process_first():  # it computes, the others read
        if not _is_whole(home, spec):
            _write(home, spec, model, encoder)
    return Anchor(
        weight=spec.ewc.weight,
        fisher=_read(home / FISHER, model),
        start=_read(home / START, model),
    )


def _made_of(spec: TrainSpec) -> dict[str, Any]:
    """Return what an anchor depends on."""
    assert spec.reference is not None, "prepare writes the reference that `ewc` asks for"
    frozen = None if spec.freeze is None else spec.freeze.model_dump(mode="json")
    return {
        "base": spec.base_sha256,
        "reference": spec.reference.split.sha256,
        "freeze": frozen,
    }


def _is_whole(home: Path, spec: TrainSpec) -> bool:
    return (
        home.is_dir()
        and not checkpoints.problem(home)
        and checkpoints.facts_of(home)["made_of"] == _made_of(spec)
    )


def _write(home: Path, spec: TrainSpec, model: Any, encoder: Encoder) -> None:  # noqa: ANN401
    from safetensors.torch import save_file

    assert spec.reference is not None
    began = time.monotonic()
    rows = encode_general(spec, encoder, spec.reference)
    fisher = fisher_of(model, zip(*rows, strict=True))
    start = {name: p.detach() for name, p in model.named_parameters() if name in fisher}
    half = home.with_name(".anchor.half")
    for folder in (half, home):
        shutil.rmtree(folder, ignore_errors=True)
    half.mkdir(parents=True)
    for name, tensors in ((START, start), (FISHER, fisher)):
        save_file({key: t.float().cpu().contiguous() for key, t in tensors.items()}, half / name)
    checkpoints.seal(half, {"made_of": _made_of(spec)}, rng_states=0)
    half.rename(home)
    split = spec.reference.split
    emit(
        "log",
        text=f"ewc: Fisher information of {split.rows:,} rows, {split.loss_tokens:,} learned "
        f"tokens, in {time.monotonic() - began:.1f} s",
    )


def _read(path: Path, model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - a PreTrainedModel
    from safetensors.torch import load_file

    return {name: tensor.to(model.device) for name, tensor in load_file(path).items()}
