"""The grid: random configurations traced once, for the closed form to be held against.

    python -m bench.trace_grid [--count 360]

Each line of `bench/results/trace_grid.jsonl` is a setup and the traced figure; a run adds what is
missing, so it can be broken off. The configurations come from a seed, over all families of the
catalogue. The closed form was corrected after looking at lines, and each time those that were new
then had judged it:

    lines      mean    worst   what was wrong
    1-126                      tied embeddings, copies of trained weights, int8 inputs, eager scores
    127-240    1.4 %   75 %    GPT-2 with eager attention; Adafactor's step; int8 under checkpointing
    241-300    0.6 %   6.4 %   dropout under checkpointing: the input in float32; scores beside 4 bits

What comes after them was drawn and traced when that was mended, and judges it.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
import warnings
from pathlib import Path
from typing import Any

from tasks.errors import FinetuneError
from tasks.estimates.architecture import architecture
from tasks.estimates.setups import Setup
from tasks.estimates.traced import case_for

RESULTS = Path(__file__).parent / "results" / "trace_grid.jsonl"
SEED = 20261123
#: So many lines the closed form was developed on.
DEVELOPED_ON = 300
MODELS = (
    *("llama3.2-1b", "llama3.2-3b", "llama2-7b", "llama3.1-8b", "llama2-13b", "smollm2-135m"),
    *("mistral-7b", "qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b", "qwen3-0.6b", "qwen3-8b"),
    *("gemma-2b", "gemma2-2b", "gemma3-1b", "phi3-mini", "olmo2-1b", "granite3.1-2b"),
    *("smollm3-3b", "glm4-9b", "gpt2", "pythia-410m", "pythia-1.4b", "phi-2", "opt-1.3b"),
)
#: Families whose classes transformers 5.23 does not build with SDPA.
EAGER = ("gemma2", "bloom")


def draw(rng: random.Random) -> dict[str, Any]:
    """Return one configuration: a model's name and the fields of a `Setup`."""
    name = rng.choice(MODELS)
    model = architecture(name)
    method = rng.choice(("full", "lora", "lora", "qlora"))
    on_cpu = rng.random() < 0.15 and method != "qlora"
    longest = min(model.max_positions or 4096, 4096)
    length = min(rng.choice((128, 256, 512, 745, 1024, 2048, 3000, 4096)), longest)
    only = model.model_type in EAGER
    attention = "eager" if only or (rng.random() < 0.12 and length <= 2048) else "sdpa"
    fields: dict[str, Any] = {
        "method": method,
        "batch": rng.choice((1, 1, 2, 4, 8)),
        "length": length,
        "checkpointing": rng.random() < 0.6,
        "accumulates": rng.random() < 0.3,
        "fused_loss": rng.random() < 0.7,
        "attention": attention,
        "on_cpu": on_cpu,
        "base_bytes": 4 if on_cpu or (method == "lora" and rng.random() < 0.15) else 2,
        "optim": "adamw_torch_fused",
    }
    if method == "full":
        fields["pure_half"] = not on_cpu and rng.random() < 0.4
        optimizers = ("adamw_torch", "adamw_bnb_8bit", "paged_adamw_8bit", "sgd", "adafactor")
        if rng.random() < 0.5:
            fields["optim"] = rng.choice(optimizers)
    else:
        fields["r"] = rng.choice((4, 8, 16, 32, 64, 128))
        fields["dropout"] = rng.random() < 0.3
        if method == "qlora":
            fields["quantization"] = rng.choice(("nf4-double", "nf4-double", "nf4", "int8"))
    return {"model": name, **fields}


def setup_of(drawn: dict[str, Any]) -> Setup:
    """Return the `Setup` of a drawn configuration."""
    rest = {k: v for k, v in drawn.items() if k != "model"}
    return Setup(architecture=architecture(drawn["model"]), **rest)


def drawn(count: int) -> list[dict[str, Any]]:
    """Return the first configurations of the seed."""
    rng = random.Random(SEED)
    return [draw(rng) for _ in range(count)]


def traced() -> list[dict[str, Any]]:
    """Return the lines that are there."""
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Trace what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=360)
    count = parser.parse_args().count
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    from tasks.estimates.trace.step import trace

    there = {json.dumps(line["setup"], sort_keys=True) for line in traced()}
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        for number, config in enumerate(drawn(count)):
            if json.dumps(config, sort_keys=True) in there:
                continue
            start = time.monotonic()
            try:
                found = trace(case_for(setup_of(config))).model_dump()
            except (FinetuneError, RuntimeError) as error:
                print(f"{number} {config['model']}: {type(error).__name__}: {error}"[:200])  # noqa: T201
                continue
            seconds = round(time.monotonic() - start, 1)
            file.write(json.dumps({"setup": config, "traced": found, "seconds": seconds}) + "\n")
            file.flush()
            print(f"{number} {config['model']} {found['peak_bytes'] / 1e9:.2f} GB {seconds} s")  # noqa: T201


if __name__ == "__main__":
    main()
