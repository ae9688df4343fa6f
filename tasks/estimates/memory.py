"""Memory: the peak of one training step in closed form, in microseconds.

A step is largest at one of a few moments (not at their sum):

    end of forward       W + O + kept by all layers + head
    inside backward      W + O + kept + one live layer, and gradients so far
    optimizer step       W + G + O + temporaries

W weights (and what EWC keeps of them), G gradients (also held during the first two once they
accumulate), O optimizer states, all per device; sharded over N devices (fsdp2, zero3) each holds 1/N
of them, two gathered layers and the embedding and head; under zero2 all of W and 1/N of G and O;
under DDP everything, and G twice: its buckets are a second copy (torch, `gradient_as_bucket_view`).
What layers and head keep stands in `tasks/estimates/activations.py`. How far this is from the exact
trace is in `bench/results/estimate.json`. The figure of the device adds allocator slack and context;
its factors are heuristics, so an interval is given and `high_bytes` decides what fits.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.contracts import MemoryEstimate
from tasks.estimates.activations import amounts
from tasks.estimates.adapters import (
    in_forward,
    inputs,
    keeps_inputs,
    per_token,
    regime,
    scores,
    trained,
)
from tasks.estimates.frozen import Frozen, frozen_by
from tasks.estimates.parameters import adapter_parameters
from tasks.estimates.setups import Setup
from tasks.estimates.widths import OPTIMIZERS, PACKED, step_temporaries
from tasks.methods.ewc import COPIES

__all__ = [
    *("GIB", "Peak", "Setup", "Standing", "Step", "allocated_bytes"),
    *("device_interval", "estimate", "ewc_bytes", "peak", "standing"),
]

GIB = 2**30

#: Heuristics of the device figure (methods.md 4.2): slack on states and on the rest, context.
STATE_SLACK, REST_SLACK = 1.02, 1.15
CONTEXT_LOW, CONTEXT_HIGH, SEVERAL_GPUS = 0.15 * GIB, 0.7 * GIB, 1.4 * GIB
#: A process with torch, transformers and TRL loaded holds 0.5 to 0.75 GB before any model
#: (stack.md: 490 MB peak at 260K parameters, 740 MB at 2M).
LIBRARIES_LOW, LIBRARIES_HIGH = 0.45 * GIB, 0.8 * GIB


class _States(NamedTuple):
    """What is there all the time, in bytes for the whole model, before sharding."""

    weights: float
    adapter: float
    gradients: float
    optimizer: float


class Step(NamedTuple):
    """What a search for the largest batch varies; the rest of a setup stays."""

    batch: int
    checkpointing: bool
    accumulates: bool


class Standing(NamedTuple):
    """What a setup has at any step, computed once for all of them; bytes, `_token` for each token."""

    setup: Setup
    states: _States
    frozen: Frozen
    gathered: float
    regime: str
    width: float
    temporaries: float
    pull: float
    kept_token: float
    inputs_token: float
    scores_token: float
    forward_token: float


class Peak(NamedTuple):
    """The largest moment of a step on one device, in bytes; a tuple, for a search makes many."""

    weights: float
    adapter: float
    gradients: float
    optimizer: float
    activations: float
    head: float
    low: int
    high: int

    def estimate(self, available_bytes: int | None) -> MemoryEstimate:
        """Return the record of this peak, part by part, and whether it fits."""
        return MemoryEstimate(
            weights_bytes=round(self.weights),
            adapter_bytes=round(self.adapter),
            gradients_bytes=round(self.gradients),
            optimizer_bytes=round(self.optimizer),
            activations_bytes=round(self.activations),
            logits_bytes=round(self.head),
            overhead_bytes=self.high - round(sum(self[:6])),
            low_bytes=self.low,
            high_bytes=self.high,
            available_bytes=available_bytes,
            fits=self.fits(available_bytes),
        )

    def fits(self, available_bytes: int | None) -> bool:
        """Whether the device can give it; True where it is not known."""
        return available_bytes is None or self.high <= available_bytes


def estimate(setup: Setup, available_bytes: int | None) -> MemoryEstimate:
    """Return the peak memory of one device, part by part, and whether it fits.

    The parts but `overhead_bytes` add up to the allocated figure, live tensors; `low_bytes` and
    `high_bytes` bound what the device shows.

    Args:
        setup: The configuration.
        available_bytes: What the device can give to a process; None if unknown: then it fits.
    """
    step = Step(setup.batch, setup.checkpointing, setup.accumulates)
    return peak(standing(setup), step).estimate(available_bytes)


def standing(setup: Setup) -> Standing:
    """Return what does not depend on the batch, checkpointing or accumulation."""
    states = _states(setup)
    return Standing(
        setup=setup,
        states=states,
        frozen=frozen_by(setup.freeze, setup.architecture),
        gathered=_gathered(setup),
        regime=regime(setup),
        width=states.gradients / max(1, trained(setup)),
        temporaries=step_temporaries(setup, states.gradients),
        pull=_pull(setup),
        kept_token=per_token(setup),
        inputs_token=inputs(setup) if keeps_inputs(setup) else 0.0,
        scores_token=scores(setup),
        forward_token=in_forward(setup),
    )


def peak(standing: Standing, step: Step) -> Peak:
    """Return the moment of a step at which one device holds most."""
    setup, states, gathered = standing.setup, standing.states, standing.gathered
    whole, share = setup.shares
    frozen = (states.weights + states.adapter) * whole + states.optimizer * share + gathered
    buckets = states.gradients if setup.devices > 1 and share == 1 else 0.0
    largest, state, activations, extra = -1.0, 0.0, 0.0, 0.0
    for gradients, kept, head in _moments(standing, step):
        held = frozen + gradients * share + buckets
        needed = held * STATE_SLACK + kept + head
        if needed > largest:
            largest, state, activations, extra = needed, held, kept, head
    low, high = device_interval(setup, state, activations + extra)
    return Peak(
        weights=states.weights * whole + gathered,
        adapter=states.adapter * whole,
        gradients=state - frozen,
        optimizer=states.optimizer * share,
        activations=activations,
        head=extra,
        low=low,
        high=high,
    )


def allocated_bytes(setup: Setup) -> int:
    """Return live tensors at the peak, as `torch.cuda.max_memory_allocated` counts them."""
    found = estimate(setup, None)
    states = found.weights_bytes + found.adapter_bytes + found.gradients_bytes
    return states + found.optimizer_bytes + found.activations_bytes + found.logits_bytes


def _moments(standing: Standing, step: Step) -> tuple[tuple[float, float, float], ...]:
    """Return the moments at which a step may be largest: gradients, activations, head or step.

    Layers are linear, so that only the last and the first one of the backward pass can be largest.
    """
    setup, gradients = standing.setup, standing.states.gradients
    model, tokens = setup.architecture, step.batch * setup.length
    share = setup.shares[1]
    now = amounts(
        model, standing.regime, step.batch, setup.length, setup.r or 0, fused=setup.fused_loss
    )
    if setup.method != "full" and setup.adapter_bytes == 2:  # nothing to cast
        now = now._replace(saved=now.saved - now.cast, cast=0.0)
    now = now._replace(forward=now.forward + tokens * standing.forward_token)
    kept = layer = now.saved + tokens * standing.kept_token
    whole, live, again, copies = tokens * standing.scores_token, 0.0, 0.0, 0.0
    # Where weights are unpacked, that is another moment than that of whole scores.
    backward = max(whole, now.backward) if setup.method == "qlora" else whole + now.backward
    frozen = standing.frozen
    reached = model.layers - frozen.unreached
    if step.checkpointing:
        products = tokens * standing.inputs_token
        kept, live = now.input + products, layer
        if setup.dropout:  # computed again, a layer's products keep what they kept already
            live -= products
        again = kept + now.input
        # Autocast keeps 16-bit copies of trained weights to the end; sharded ones it never sees.
        copies = reached * now.cast if setup.whole and setup.profile != "zero2" else 0.0
    every = now.start + reached * kept
    full = setup.method == "full"
    words = (model.embedding_parameters - frozen.head) * standing.width if full else 0.0
    # Of a classifier the gradient of the words comes last, that of its small head first.
    head = model.score_parameters * standing.width if full and model.labels else words
    held = gradients if step.accumulates else 0.0
    one = (gradients - words) / max(1, reached)
    # The gradient of a tied embedding waits for its other half, then both are added to a third.
    waits = head if model.tied else 0.0
    both = not model.tied and not model.labels  # embedding and head are two matrices
    embedding = 2 * waits + (words / (1 + both) if held else 0)
    return (
        (held, every + now.input + copies, now.head_forward),
        (held, every + now.input, now.head_backward),
        (held + waits or head, every + live + backward, 0.0),
        (held + waits or head, every - kept + again + now.forward, 0.0),
        (held + waits or gradients - one, now.start + kept + live + backward, 0.0),
        (held + waits or gradients - one, now.start + again + now.forward, 0.0),
        (gradients, now.input, embedding * share),
        (gradients, 0.0, standing.temporaries * share),
        (gradients, 0.0, standing.pull * share),
    )


def device_interval(setup: Setup, state: float, rest: float) -> tuple[int, int]:
    """Return allocated plus the smallest context, and the slackened upper end."""
    if setup.on_cpu:
        low, high = LIBRARIES_LOW, LIBRARIES_HIGH
    else:
        low, high = CONTEXT_LOW, CONTEXT_HIGH
    several = SEVERAL_GPUS if setup.devices > 1 and not setup.on_cpu else 0.0
    upper = STATE_SLACK * state + REST_SLACK * rest + high + several
    return round(state + rest + low), round(upper)


def _states(setup: Setup) -> _States:
    model = setup.architecture
    moments, width = OPTIMIZERS.get(setup.optim, (2, None))
    count = trained(setup)
    if setup.method == "full":
        size = 2 if setup.pure_half else 4
        weights, adapter = model.parameters * size + ewc_bytes(setup), 0
    else:
        size = setup.adapter_bytes
        frozen = adapter_parameters(model, setup.target_modules, "lora", setup.r or 0)
        weights, adapter = _frozen_weights(setup), max(count, frozen) * size
    return _States(
        weights=weights,
        adapter=adapter,
        gradients=count * size,
        optimizer=count * moments * (size if width is None else width),
    )


def ewc_bytes(setup: Setup) -> int:
    """Return what EWC keeps beside the weights: Fisher and start, float32."""
    return COPIES * 4 * trained(setup) if setup.ewc else 0


def _pull(setup: Setup) -> float:
    """Return what EWC's penalty takes in its backward pass: one weight's gradient at a time."""
    return 4.0 * setup.architecture.vocabulary * setup.architecture.hidden if setup.ewc else 0.0


def _frozen_weights(setup: Setup) -> float:
    model = setup.architecture
    if setup.method == "lora":
        return model.parameters * setup.base_bytes
    packed = PACKED[setup.quantization]
    return (
        model.linear_parameters * packed
        + (model.parameters - model.linear_parameters) * setup.base_bytes
    )


def _gathered(setup: Setup) -> float:
    """Return what each device of sharded weights holds whole: two layers, embedding and head."""
    if setup.whole:
        return 0.0
    model = setup.architecture
    packed = PACKED[setup.quantization]
    width = packed if setup.method == "qlora" else setup.base_bytes
    layer = model.linear_parameters / model.layers
    return 2 * layer * width + model.embedding_parameters * setup.base_bytes
