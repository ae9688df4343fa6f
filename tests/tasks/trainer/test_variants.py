"""Variants of LoRA: each learns, reloads by plain PEFT on the untouched base, and resumes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tasks.methods import VARIANTS
from tasks.recipe import Recipe
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import Ended, make_spec, run, weights_sha256
from tests.tasks.trainer.test_runs import dies_after, history, result

pytestmark = pytest.mark.slow

ROWS = {"train": chat_rows(40), "validation": chat_rows(12)}
CASES = [(m, v) for m in ("lora", "qlora") for v in VARIANTS if (m, v) != ("qlora", "pissa")]


def a_spec(folder: Path, base: Path, variant: str, method: str = "lora", **lora: Any) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    training = {"logging_steps": 1, "save_steps": 3, "seed": 3}
    recipe = make_recipe(
        base, folder / "raw.jsonl", training=training, lora={"variant": variant, **lora}
    )
    return make_spec(folder, recipe, ROWS, method, variant=variant, steps=10)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def trained(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainSpec, Ended]:
    method, variant = request.param
    spec = a_spec(tmp_path_factory.mktemp(variant), base, variant, method)
    return spec, run(spec)


def adapter_weights(spec: TrainSpec) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(spec.home / "adapter" / "adapter_model.safetensors")


def adapter_config(spec: TrainSpec) -> dict[str, Any]:
    return json.loads((spec.home / "adapter" / "adapter_config.json").read_text())


def reloaded_loss(spec: TrainSpec) -> float:
    """Return the validation loss of the saved adapter on the base, as anybody would load both."""
    import torch
    from peft import PeftModel

    from tasks.encoding import Encoder
    from tasks.loading import load_base, load_tokenizer

    quantization = spec.quantization if spec.method == "qlora" else None
    base = load_base(spec.base_path, spec.model, dtype="float32", quantization=quantization)
    model = PeftModel.from_pretrained(base, str(spec.home / "adapter")).eval()
    encoder = Encoder(load_tokenizer(spec.base_path), spec.dataset, spec.row_type)
    total, count = 0.0, 0
    for line in Path(spec.validation.path).read_text().splitlines():
        row = encoder.encode(json.loads(line))
        labels = torch.tensor([row.labels])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits
        total += torch.nn.functional.cross_entropy(
            logits[0, :-1], labels[0, 1:], reduction="sum"
        ).item()
        count += int((labels[0, 1:] != -100).sum())
    return total / count


def test_each_variant_learns_and_reloads_on_the_untouched_base(
    trained: tuple[TrainSpec, Ended],
) -> None:
    spec, ended = trained
    assert ended.code == 0, ended.log
    record = result(spec)
    losses = [entry["loss"] for entry in history(spec) if "loss" in entry]
    assert len(losses) == record.steps == 10
    assert losses[-1] < losses[0] - 0.1
    assert record.validation_loss is not None
    assert reloaded_loss(spec) == pytest.approx(record.validation_loss, abs=2e-4)


def test_the_adapter_is_of_the_variant_that_was_asked_for(
    trained: tuple[TrainSpec, Ended],
) -> None:
    spec, _ = trained
    config, variant = adapter_config(spec), spec.hyperparameters.variant
    assert config["use_rslora"] is (variant == "rslora")
    assert config["use_dora"] is (variant == "dora")
    assert (config["peft_type"] == "ADALORA") is (variant == "adalora")
    doubled = 2 if variant == "pissa" else 1
    if variant != "adalora":
        assert config["r"] == doubled * (spec.hyperparameters.r or 0)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in ("lora", "rslora")])
def test_a_killed_run_of_a_variant_ends_bitwise_like_an_unbroken_one(
    variant: str, base: Path, tmp_path: Path
) -> None:
    unbroken = a_spec(tmp_path / "unbroken", base, variant)
    assert run(unbroken).code == 0
    spec = unbroken.model_copy(update={"folder": str(tmp_path / "killed" / "train")})
    assert run(spec, dies_after(7)).code == -signal.SIGKILL
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert weights_sha256(spec) == weights_sha256(unbroken)
    if variant == "adalora":
        assert ended.said("starts anew")
        assert result(spec).resumed_from_step is None
    else:
        assert result(spec).resumed_from_step == 6


def test_lora_fa_moves_b_and_leaves_a(base: Path, tmp_path: Path) -> None:
    import torch

    found = []
    for steps in (2, 5):
        spec = a_spec(tmp_path / str(steps), base, "lora_fa")
        training = spec.training.model_copy(update={"max_steps": steps, "eval_strategy": "no"})
        chosen = spec.hyperparameters.model_copy(update={"max_steps": steps})
        spec = spec.model_copy(update={"training": training, "hyperparameters": chosen})
        assert run(spec).code == 0
        found.append(adapter_weights(spec))
    short, long = found
    same = {name: torch.equal(short[name], long[name]) for name in short}
    assert all(equal for name, equal in same.items() if "lora_A" in name)
    assert not any(equal for name, equal in same.items() if "lora_B" in name)


def test_adalora_s_ranks_fall_to_the_target(base: Path, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, base, "adalora", target_r=2, tinit=1, tfinal=2, deltaT=1)
    ended = run(spec)
    assert ended.code == 0, ended.log
    pattern = adapter_config(spec)["rank_pattern"]
    assert sum(map(sum, pattern.values())) == 2 * len(pattern)
    assert len({sum(kept) for kept in pattern.values()}) > 1, "every layer got the same"


def test_adalora_s_orthogonality_term_has_an_effect(base: Path, tmp_path: Path) -> None:
    """Left to PEFT and TRL, weights of 0.5 and 50 gave bitwise equal adapters."""
    import torch

    drift = []
    for weight in (0.0, 5.0):
        spec = a_spec(tmp_path / str(weight), base, "adalora", orth_reg_weight=weight)
        assert run(spec).code == 0
        p = next(w for name, w in adapter_weights(spec).items() if "lora_B" in name)
        drift.append(torch.linalg.norm(p.T @ p - torch.eye(p.shape[1])).item())
    assert drift[1] < drift[0] * 0.999


def test_impossible_combinations_are_refused_by_the_recipe(base: Path, tmp_path: Path) -> None:
    def refused(**sections: Any) -> str:
        with pytest.raises(ValueError, match="variant") as caught:
            Recipe.model_validate(make_recipe(base, tmp_path / "x.jsonl").model_dump() | sections)
        return str(caught.value)

    assert "singular" in refused(method="qlora", lora={"variant": "pissa"})
    packed = {"path": "x.jsonl", "packing": True}
    assert "packing" in refused(dataset=packed, lora={"variant": "adalora"})
