"""Traced: the exact figure for a setup, from a child process, remembered on this machine.

The first answer takes about twenty seconds, most of them imports; a repeat takes none. A remembered
figure belongs to one case and one set of library versions: what changes either is another file.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.contracts import MemoryEstimate
from tasks.errors import ModelError, StageError
from tasks.estimates.memory import device_interval, ewc_bytes
from tasks.estimates.setups import Setup
from tasks.estimates.trace.case import TraceCase, TraceResult
from tasks.processes import run_child
from tasks.run_folder import write_atomically

__all__ = ["case_for", "figures_folder", "trace_cases", "traced_estimate"]

#: What a step's memory depends on beside the case itself.
LIBRARIES = ("accelerate", "bitsandbytes", "peft", "torch", "transformers", "trl")
SOURCES = Path(__file__).parent / "trace"


def figures_folder() -> Path:
    """Return where this machine keeps measured figures: `FINETUNE_CACHE`, else the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FINETUNE_CACHE") or Path(home) / "finetune-workflow")


def case_for(setup: Setup) -> TraceCase:
    """Return the case whose trace is the exact figure for a setup.

    Raises:
        ModelError: The model's class is not part of transformers.
    """
    model = setup.architecture
    if not model.config:
        raise ModelError(
            f"{model.name}: its class is not part of transformers, so its step cannot be traced. "
            "The closed form is all there is."
        )
    wide = setup.base_bytes == 4 or (setup.method == "full" and not setup.pure_half)
    return TraceCase(
        config=json.loads(model.config),
        adapter=_adapter(setup),
        quantization=setup.quantization if setup.method == "qlora" else "none",
        dtype="float32" if wide else "bfloat16",
        autocast=None if setup.on_cpu and setup.base_bytes == 4 else "bfloat16",
        adapter_dtype="bfloat16" if setup.adapter_bytes == 2 else "float32",
        batch=setup.batch,
        length=setup.length,
        checkpointing=setup.checkpointing,
        accumulates=setup.accumulates,
        fused_loss=setup.fused_loss,
        optim=setup.optim,
        attention=setup.attention,
        device="cpu" if setup.on_cpu else "cuda",
        frozen=("lora_A",) if setup.variant == "lora_fa" else (),
        freeze=setup.freeze,
    )


def _adapter(setup: Setup) -> dict[str, Any] | None:
    """Return PEFT's words for the adapter."""
    if setup.method == "full":
        return None
    targets = setup.target_modules
    values: dict[str, Any] = {
        "peft_type": "ADALORA" if setup.variant == "adalora" else "LORA",
        "r": setup.r,
        "lora_dropout": 0.05 if setup.dropout else 0.0,
        "target_modules": targets if isinstance(targets, str) else list(targets),
    }
    if setup.variant == "adalora":
        assert setup.r is not None
        extra = {"init_r": setup.r, "target_r": max(1, setup.r // 2), "total_step": 1000}
        values |= extra | {"tinit": 100, "tfinal": 200}
    if setup.variant == "dora":
        values["use_dora"] = True
    return values


def traced_estimate(setup: Setup, available_bytes: int | None) -> MemoryEstimate:
    """Return what `tasks.estimates.memory.estimate` returns, from the trace.

    Sharded setups are traced whole, so only one device is answered for.

    Raises:
        ModelError: The model's class is not part of transformers, or its step depends on data.
        RecipeError: PEFT cannot build the adapter.
    """
    assert setup.devices == 1, "the trace is of one device"
    (found,) = trace_cases([case_for(setup)])
    phase = max(found.peaks, key=lambda name: found.peaks[name])
    held = ewc_bytes(setup)  # the trace knows nothing of EWC
    frozen = found.weights_bytes + held + found.adapter_bytes + found.optimizer_bytes
    gradients = found.gradients_bytes if setup.accumulates or phase == "step" else 0
    rest = found.peak_bytes + held - frozen - gradients
    low, high = device_interval(setup, frozen + gradients, rest)
    return MemoryEstimate(
        weights_bytes=found.weights_bytes + held,
        adapter_bytes=found.adapter_bytes,
        gradients_bytes=gradients,
        optimizer_bytes=found.optimizer_bytes,
        activations_bytes=rest,
        logits_bytes=0,
        overhead_bytes=high - found.peak_bytes - held,
        low_bytes=low,
        high_bytes=high,
        available_bytes=available_bytes,
        fits=available_bytes is None or high <= available_bytes,
    )


def trace_cases(cases: Sequence[TraceCase]) -> tuple[TraceResult, ...]:
    """Return the traced figures of all cases, in order; only unknown ones are computed.

    Raises:
        ModelError: transformers cannot build the model, or its step depends on data.
        RecipeError: PEFT cannot build the adapter.
        StageError: The child died.
    """
    known = [_remembered(case) for case in cases]
    missing = [i for i, found in enumerate(known) if found is None]
    if missing:
        for index, result in zip(missing, _run([cases[i] for i in missing]), strict=True):
            known[index] = result
            write_atomically(_place(cases[index]), result.model_dump_json() + "\n")
    return tuple(result for result in known if result is not None)


def _run(cases: list[TraceCase]) -> list[TraceResult]:
    found: list[TraceResult] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "traced":
            found.append(TraceResult.model_validate(event["result"]))

    with tempfile.TemporaryDirectory(prefix="finetune-trace-") as folder:
        spec = Path(folder) / "spec.json"
        spec.write_text(json.dumps({"cases": [c.model_dump(mode="json") for c in cases]}))
        run_child("tasks.estimates.trace", spec, on_event)
    if len(found) != len(cases):
        raise StageError(f"the trace gave {len(found)} figures for {len(cases)} cases")
    return found


def _remembered(case: TraceCase) -> TraceResult | None:
    """Return a figure measured before; a damaged file counts as none."""
    try:
        return TraceResult.model_validate_json(_place(case).read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError):
        return None


def _place(case: TraceCase) -> Path:
    text = case.model_dump_json() + _versions()
    return figures_folder() / "traced" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


@cache
def _versions() -> str:
    """Return the libraries' versions and a hash of the trace's own source."""
    parts = []
    for name in LIBRARIES:
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"{name} missing")
    source = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.py")):
        source.update(path.read_bytes())
    return "; ".join([*parts, source.hexdigest()])
