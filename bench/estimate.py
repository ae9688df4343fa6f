"""The estimators against published measurements: `bench/results/estimate.json`.

    python -m bench.estimate

Per case: what was published, the trace, the closed form where it knows the adapter, accelerate's own
size functions on a model built on the meta device, and weights x 1.2. Cases of this project's own
code path (transformers, PEFT) are judged; those of other code bases are listed apart. No constant is
fitted to a case; the one length that is not published was chosen by the case that is left out.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import yaml

from bench.trace_grid import DEVELOPED_ON, setup_of
from bench.trace_grid import traced as grid
from tasks.errors import FinetuneError
from tasks.estimates.architecture import Architecture, architecture
from tasks.estimates.memory import allocated_bytes, estimate
from tasks.estimates.setups import Setup
from tasks.estimates.trace.case import TraceCase

HERE = Path(__file__).parent
MEASUREMENTS, RESULTS = HERE / "measurements.yaml", HERE / "results" / "estimate.json"
#: The rule of thumb of many pages: weights and a fifth more.
RULE_OF_THUMB = 1.2
#: The margin that users are told to leave.
MARGIN = 0.10


def published() -> list[dict[str, Any]]:
    """Return every case with its source, its bytes, and how it was run."""
    found = []
    for source, group in yaml.safe_load(MEASUREMENTS.read_text(encoding="utf-8")).items():
        for name, case in group["cases"].items():
            size = case.get("bytes") or round(
                case["gb"] * 1e9 if "gb" in case else case["gib"] * 2**30
            )
            shared = {k: v for k, v in group.items() if k not in ("cases", "source")}
            found.append({**shared, **case, "name": name, "source": source, "bytes": size})
    return found


def case_of(row: dict[str, Any]) -> TraceCase:
    """Return the trace's case for a published one."""
    model = architecture(row["model"])
    own = row["loop"] == "own"
    adapter = row.get("adapter")
    if adapter is None and row.get("method") != "full" and not own:
        adapter = {"peft_type": "LORA", "r": row["r"], "target_modules": row["targets"]}
    return TraceCase(
        config=json.loads(model.config),
        adapter=adapter,
        autocast=None,
        adapter_dtype=None if own else "bfloat16",
        batch=row["batch"],
        length=row["length"],
        checkpointing=row.get("checkpointing", False),
        fused_loss=row.get("fused", False),
        optim="adamw_torch",
        keeps_outputs=own,
        frozen=tuple(row.get("frozen", ())),
    )


def setup_for(row: dict[str, Any]) -> Setup | None:
    """Return what the closed form is asked; None for adapters it does not know."""
    adapter = row.get("adapter") or {}
    own = row["loop"] == "own"
    if own and (adapter.get("peft_type", "LORA") != "LORA"):
        return None
    full = row.get("method") == "full" or (own and not adapter)
    return Setup(
        architecture=architecture(row["model"]),
        method="full" if full else "lora",
        pure_half=full,
        r=None if full else adapter.get("r") or row["r"],
        target_modules=_targets(adapter.get("target_modules") or row.get("targets")),
        variant="dora" if adapter.get("use_dora") else "lora",
        batch=row["batch"],
        length=row["length"],
        checkpointing=row.get("checkpointing", False),
        fused_loss=row.get("fused", False),
        optim="adamw_torch",
        adapter_bytes=4 if own else 2,
    )


def interval(setup: Setup) -> list[int]:
    """Return what the user is told: least and most that the device shows."""
    told = estimate(setup, None)
    return [told.low_bytes, told.high_bytes]


def coverage(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many published values lie in the interval, and how wide it is."""
    known = [x for x in lines if x["interval"]]
    inside = sum(x["interval"][0] <= x["bytes"] <= x["interval"][1] for x in known)
    widths = [(high - low) / (high + low) for low, high in (x["interval"] for x in known)]
    return {
        "cases": len(known),
        "inside": inside,
        "above": sum(x["bytes"] > x["interval"][1] for x in known),
        "median_half_width": round(statistics.median(widths), 4),
    }


def _targets(value: str | list[str] | None) -> str | tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else value or "all-linear"


def rivals(model: Architecture) -> dict[str, int]:
    """Return accelerate's figure for training with Adam, and weights x a constant."""
    import torch
    from accelerate.commands.estimate import estimate_training_usage
    from accelerate.utils import calculate_maximum_sizes
    from transformers import AutoConfig, AutoModelForCausalLM

    values = json.loads(model.config)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    total, _ = calculate_maximum_sizes(built)
    usage = estimate_training_usage(2 * total, "bfloat16")
    return {"accelerate": max(usage.values()), "weights": round(total * RULE_OF_THUMB)}


def rows() -> list[dict[str, Any]]:
    """Return a line for every case."""
    from tasks.estimates.trace.step import trace

    found = []
    for row in published():
        line: dict[str, Any] = {k: row[k] for k in ("source", "name", "what", "loop", "bytes")}
        line["chose_the_length"] = row.get("chosen_by") == row["name"]
        model = architecture(row["model"])
        try:
            result = trace(case_of(row)) if model.config else None
        except (FinetuneError, RuntimeError, AssertionError, AttributeError) as error:
            result, line["not_traced"] = None, str(error).splitlines()[0][:160]
        setup = setup_for(row)
        figures = {
            "traced": result.peak_bytes if result else None,
            "closed": allocated_bytes(setup) if setup else None,
        }
        line["interval"] = interval(setup) if setup else None
        if model.config:
            figures |= rivals(model)
        line |= figures
        line["errors"] = {
            name: None if size is None else round(size / row["bytes"] - 1, 4)
            for name, size in figures.items()
        }
        if result and row.get("trained"):
            line["trained_agrees"] = result.trainable_parameters == row["trained"]
        found.append(line)
        print(line["source"], line["name"], line["errors"], flush=True)  # noqa: T201
    return found


def summary(lines: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return an estimator's errors over the judged cases."""
    errors = [x["errors"].get(name) for x in lines]
    known = sorted(abs(e) for e in errors if e is not None)
    if not known:
        return {"cases": 0}
    low = min(e for e in errors if e is not None)
    return {
        "cases": len(known),
        "median": statistics.median(known),
        "p90": known[min(len(known) - 1, int(0.9 * len(known)))],
        "worst": known[-1],
        "lowest_with_margin": round((1 + low) * (1 + MARGIN) - 1, 4),
    }


def grid_summary() -> dict[str, Any]:
    """Return the closed form's error against the trace over the grid, before and after."""
    errors = [
        abs(allocated_bytes(setup_of(x["setup"])) / x["traced"]["peak_bytes"] - 1) for x in grid()
    ]
    parts = {"developed_on": errors[:DEVELOPED_ON], "held_out": errors[DEVELOPED_ON:]}
    return {
        name: {"cases": len(part), "mean": statistics.mean(part), "worst": max(part)}
        for name, part in (parts | {"all": errors}).items()
        if part
    }


def main() -> None:
    """Compute and write."""
    import logging
    import warnings

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    lines = rows()
    judged = [x for x in lines if not x["chose_the_length"]]
    names = ("traced", "closed", "accelerate", "weights")
    own = [x for x in judged if x["loop"] == "own"]
    result = {
        "own": {name: summary(own, name) for name in names},
        "own_but_full": {n: summary([x for x in own if "full" not in x["name"]], n) for n in names},
        "other": {n: summary([x for x in judged if x["loop"] == "other"], n) for n in names},
        "without_one_source": {
            source: {n: summary([x for x in judged if x["source"] != source], n) for n in names}
            for source in sorted({x["source"] for x in judged})
        },
        "interval": {
            loop: coverage([x for x in judged if x["loop"] == loop]) for loop in ("own", "other")
        },
        "grid": grid_summary(),
        "cases": lines,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
