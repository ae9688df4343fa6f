"""Flags of `finetune recommend`: one field each, with its help, its reader and the key it sets.

Values come as people type them and are read by `flows/answers.py`. A recipe answers what no flag
answers; what neither answers has a default that is stated, or is asked for (`--interactive`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from flows import answers

__all__ = ["DEFAULTS", "READERS", "WORDS", "Flags", "as_command"]

Text = str | None


def _flag(text: str, *names: str) -> Any:  # noqa: ANN401 - typer's own object
    return typer.Option(*names, help=text, show_default=False)


@dataclass(frozen=True)
class Flags:
    """What can be said on the command line; None means not said."""

    recipe: Annotated[Text, typer.Argument(help="A recipe file.", show_default=False)] = None
    model: Annotated[Text, _flag("Catalogue name, Hub id, folder or config.json.")] = None
    gpu: Annotated[Text, _flag("4090, 2x4090, a100-80, cpu; this machine if left out.")] = None
    gpu_count: Annotated[Text, _flag("How many cards.")] = None
    vram_gb: Annotated[Text, _flag("GiB of one card, for one that is not listed.")] = None
    owned: Annotated[
        bool, _flag("The cards are yours: electricity and wear, no rent.", "--owned")
    ] = False
    usd_per_gpu_hour: Annotated[Text, _flag("Your price of one card for an hour.")] = None
    budget: Annotated[Text, _flag("US dollars for everything: 500, $500, 1e3.")] = None
    hours: Annotated[Text, _flag("Longest training, in hours.")] = None
    storage_gb: Annotated[Text, _flag("Room for what all tasks leave.")] = None
    tasks: Annotated[Text, _flag("How many tasks.")] = None
    accuracy: Annotated[Text, _flag("Required: 0.95, 95% or 95.")] = None
    critical: Annotated[bool, _flag("Mistakes are expensive.", "--critical")] = False
    very_different: Annotated[
        bool, _flag("The task is far from what the model was pre-trained on.", "--very-different")
    ] = False
    complexity: Annotated[Text, _flag("simple, medium, complex, very-complex, near-full.")] = None
    deployment: Annotated[Text, _flag("cloud, edge, or rapid (updates).")] = None
    ab_testing: Annotated[bool, _flag("Variants are tested side by side.", "--ab-testing")] = False
    continual: Annotated[Text, _flag("none, sequential, forgetting (must be avoided).")] = None
    rows: Annotated[Text, _flag("Training rows of one task: 10000, 10k.")] = None
    seq_len: Annotated[Text, _flag("Tokens of a row.")] = None
    batch_size: Annotated[Text, _flag("Rows a device takes at once; what fits if left out.")] = None
    epochs: Annotated[Text, _flag("Passes over the rows.")] = None
    method: Annotated[Text, _flag("auto, full, lora, qlora.")] = None
    r: Annotated[Text, _flag("LoRA's rank; chosen if left out.", "--r")] = None
    target_modules: Annotated[Text, _flag("all-linear, or q_proj,v_proj.")] = None
    quantization: Annotated[Text, _flag("none, nf4, nf4-double, int8.")] = None
    dtype: Annotated[Text, _flag("auto, bfloat16, float16, float32.")] = None
    optim: Annotated[Text, _flag("As in transformers: adamw_torch_fused, adamw_8bit, ...")] = None
    attn: Annotated[Text, _flag("sdpa, eager, flash.")] = None
    no_gradient_checkpointing: Annotated[
        bool, _flag("Keep every activation.", "--no-gradient-checkpointing")
    ] = False
    plain_loss: Annotated[bool, _flag("Whole logits, without the tiled loss.", "--plain-loss")] = (
        False
    )
    rules: Annotated[Text, _flag("Profile: evidence, or guide (to the letter).")] = None
    measure: Annotated[bool, _flag("Trace the memory exactly (seconds).", "--measure")] = False
    interactive: Annotated[bool, _flag("Ask what was not said.", "--interactive")] = False
    as_json: Annotated[bool, _flag("One JSON object.", "--json")] = False
    as_yaml: Annotated[bool, _flag("A fragment to put into a recipe.", "--yaml")] = False
    list_gpus: Annotated[bool, _flag("The cards that are known.", "--list-gpus")] = False
    list_models: Annotated[bool, _flag("The models that are known.", "--list-models")] = False


#: Words a flag accepts; hyphens and capitals do not matter.
WORDS: dict[str, tuple[str, ...]] = {
    "complexity": ("simple", "medium", "complex", "very_complex", "near_full"),
    "deployment": ("cloud", "edge", "rapid"),
    "continual": ("none", "sequential", "forgetting"),
    "method": ("auto", "full", "lora", "qlora"),
    "quantization": ("none", "nf4", "nf4_double", "int8"),
    "dtype": ("auto", "bfloat16", "float16", "float32"),
    "attn": ("sdpa", "eager", "flash"),
    "rules": ("evidence", "guide"),
}

#: How a flag's text is read.
READERS: dict[str, Callable[[str], object]] = {
    "gpu_count": answers.count,
    "vram_gb": answers.number,
    "usd_per_gpu_hour": answers.number,
    "budget": answers.number,
    "hours": answers.number,
    "storage_gb": answers.number,
    "tasks": answers.count,
    "accuracy": answers.accuracy,
    "rows": answers.count,
    "seq_len": answers.count,
    "batch_size": answers.count,
    "epochs": answers.number,
    "r": answers.count,
    "target_modules": answers.modules,
    "optim": str,
}

ROWS, SEQ_LEN = 10_000, 1024
#: What is taken, and said to be taken, where nobody answers.
DEFAULTS: dict[str, object] = {
    "tasks": 1,
    "deployment": "cloud",
    "continual": "none",
    "complexity": "medium",
    "rows": ROWS,
    "seq_len": SEQ_LEN,
    "epochs": 3.0,
}


def as_command(function: Callable[[Flags], None]) -> Callable[..., None]:
    """Return a command with one option a field, for typer, which reads signatures."""
    hints = get_type_hints(Flags, include_extras=True)

    def command(**given: Any) -> None:  # noqa: ANN401 - whatever the fields are
        function(Flags(**given))

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name])
        for f in fields(Flags)
    ]
    command.__signature__ = inspect.Signature(parameters)  # ty: ignore[missing-attribute]
    command.__annotations__ = {name: hints[name] for name in hints}
    command.__doc__ = function.__doc__
    command.__name__ = "recommend"
    return command
