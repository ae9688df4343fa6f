"""What is trained: exactly the tokens that were counted, in exact sums, however they are batched."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Checkpoint
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run, weights_sha256

pytestmark = pytest.mark.slow

ROWS = {"train": chat_rows(40), "validation": chat_rows(13)}


def a_spec(
    folder: Path,
    base: Path,
    method: str = "lora",
    sections: dict[str, Any] | None = None,
    **changes: Any,
) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    sections = sections or {}
    training = {"logging_steps": 1, "seed": 3} | sections.get("training", {})
    lora = {"lora_dropout": 0.0}
    whole = {"lora": lora} | sections | {"training": training}
    recipe = make_recipe(base, folder / "raw.jsonl", **whole)
    return make_spec(folder, recipe, ROWS, method, **changes)


def result(spec: TrainSpec) -> Checkpoint:
    return Checkpoint.model_validate_json((spec.home / "result.json").read_text())


def losses(spec: TrainSpec, key: str) -> list[float]:
    lines = (spec.home / "metrics.jsonl").read_text().splitlines()
    return [entry[key] for entry in map(json.loads, lines) if key in entry]


def weights(spec: TrainSpec) -> dict[str, Any]:
    from safetensors.numpy import load_file

    (path,) = (spec.home / ("model" if spec.method == "full" else "adapter")).glob("*.safetensors")
    return load_file(path)


def reference_loss(spec: TrainSpec) -> float:
    """Return the validation loss by a plain forward pass of the result, one row at a time."""
    import torch

    from tasks.encoding import Encoder
    from tasks.loading import load_tokenizer, load_tuned

    kind = "model" if spec.method == "full" else "adapter"
    quantization = spec.quantization if spec.method == "qlora" else None
    model = load_tuned(spec.base_path, spec.home / kind, kind, spec.model, dtype="float32",
                       quantization=quantization)  # fmt: skip
    encoder = Encoder(load_tokenizer(spec.base_path), spec.dataset, spec.row_type)
    total, count = 0.0, 0
    for line in Path(spec.validation.path).read_text().splitlines():
        row = encoder.encode(json.loads(line))
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].double()
        for position, label in enumerate(row.labels[1:]):
            if label != -100:
                total -= float(torch.log_softmax(logits[position], -1)[label])
                count += 1
    return total / count


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
@pytest.mark.parametrize("size", [1, 5, 16])
def test_the_validation_loss_is_the_mean_over_tokens_at_any_batch_size(
    base: Path, tmp_path: Path, method: str, size: int
) -> None:
    spec = a_spec(tmp_path, base, method, {"training": {"per_device_eval_batch_size": size}})
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert result(spec).validation_loss == pytest.approx(reference_loss(spec), rel=2e-6)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_evaluating_does_not_change_what_is_trained(
    base: Path, tmp_path: Path, method: str
) -> None:
    """4-bit layers lose their gradients after the first evaluation if bitsandbytes repacks them."""
    last = {"load_best_model_at_end": False}
    often = {"eval_strategy": "steps", "eval_steps": 1}
    hashes = set()
    for name, training in (("often", often), ("never", {"eval_strategy": "no"})):
        spec = a_spec(tmp_path / name, base, method, {"training": last | training})
        ended = run(spec)
        assert ended.code == 0, ended.log
        hashes.add(weights_sha256(spec))
    assert len(hashes) == 1


def test_accumulated_batches_are_one_large_batch(base: Path, tmp_path: Path) -> None:
    """Token sums over all micro-batches, not a mean of means: the rows differ in length."""
    import numpy as np

    found = []
    for size, accumulated in ((8, 1), (2, 4), (1, 8)):
        spec = a_spec(
            tmp_path / str(size), base, per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulated,
        )  # fmt: skip
        assert run(spec).code == 0
        found.append((losses(spec, "loss"), weights(spec)))
    for other, tensors in found[1:]:
        assert other == pytest.approx(found[0][0], rel=1e-4)
        for name, tensor in tensors.items():
            assert np.abs(tensor - found[0][1][name]).max() < 1e-3


def test_gradient_checkpointing_changes_nothing_but_memory(base: Path, tmp_path: Path) -> None:
    for name, on in (("off", False), ("on", True)):
        spec = a_spec(tmp_path / name, base, gradient_checkpointing=on)
        assert run(spec).code == 0
    both = [losses(a_spec_at(tmp_path / name), "loss") for name in ("off", "on")]
    assert both[0] == pytest.approx(both[1], rel=1e-5)


def a_spec_at(folder: Path) -> TrainSpec:
    return TrainSpec.model_validate_json((folder / "train" / "spec.json").read_text())


def test_packing_keeps_every_row_label_and_loss(base: Path, tmp_path: Path) -> None:
    """All rows in one step: packed or not, the first loss is the same mean over the same tokens."""
    plain = a_spec(tmp_path / "plain", base, per_device_train_batch_size=40)
    packed = a_spec(
        tmp_path / "packed", base, sections={"dataset": {"packing": True}},
        per_device_train_batch_size=40,
    )  # fmt: skip
    assert run(plain).code == 0
    ended = run(packed)
    assert ended.code == 0, ended.log
    assert ended.said("rows packed into")
    assert losses(packed, "loss")[0] == pytest.approx(losses(plain, "loss")[0], rel=1e-5)
    assert result(packed).validation_loss == pytest.approx(reference_loss(packed), rel=2e-6)


@pytest.mark.parametrize(
    ("row_type", "rows"),
    [
        ("text", [{"text": f"the sky is blue {i}"} for i in range(20)]),
        ("prompt_completion", [{"prompt": f"sky {i}: ", "completion": "blue"} for i in range(20)]),
    ],
)
def test_other_row_shapes_train(base: Path, tmp_path: Path, row_type: str, rows: Any) -> None:
    recipe = make_recipe(base, tmp_path / "raw.jsonl", training={"logging_steps": 1})
    split = {"train": rows, "validation": rows[:5]}
    spec = make_spec(tmp_path, recipe, split, row_type=row_type)
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert result(spec).validation_loss == pytest.approx(reference_loss(spec), rel=2e-6)


def test_no_validation_rows_means_the_last_weights(base: Path, tmp_path: Path) -> None:
    recipe = make_recipe(base, tmp_path / "raw.jsonl", training={"logging_steps": 1})
    spec = make_spec(tmp_path, recipe, {"train": chat_rows(20)})
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert result(spec).validation_loss is None
    assert result(spec).best_step is None


def test_long_rows_are_cut_and_end_with_the_end_token(base: Path, tmp_path: Path) -> None:
    long = [
        {"messages": [{"role": "user", "content": "sky"},
                      {"role": "assistant", "content": "blue " * 60}]}
    ] * 10  # fmt: skip
    recipe = make_recipe(base, tmp_path / "raw.jsonl", dataset={"on_overlength": "truncate"},
                         training={"logging_steps": 1})  # fmt: skip
    spec = make_spec(tmp_path, recipe, {"train": long, "validation": long[:2]}, max_length=24)
    assert spec.train.tokens == 240
    ended = run(spec)
    assert ended.code == 0, ended.log

    drop = spec.model_copy(
        update={"dataset": spec.dataset.model_copy(update={"on_overlength": "drop"}),
                "folder": str(tmp_path / "drop")}
    )  # fmt: skip
    ended = run(drop)
    assert ended.code == 2
    assert "train.jsonl:1: " in ended.error["message"]
    assert "max_length is 24" in ended.error["message"]


@pytest.mark.parametrize("field", ["rows", "loss_tokens"])
def test_a_count_that_differs_from_the_record_stops_the_run(
    base: Path, tmp_path: Path, field: str
) -> None:
    spec = a_spec(tmp_path, base)
    wrong = spec.train.model_copy(update={field: getattr(spec.train, field) + 1})
    ended = run(spec.model_copy(update={"train": wrong}))
    assert ended.code == 2
    assert ended.error["kind"] == "DataError"
    assert "were recorded when it was prepared" in ended.error["message"]


def test_the_test_split_is_never_opened(base: Path, tmp_path: Path) -> None:
    """An audit hook sees every file that Python opens, also through libraries' Python code."""
    rows = ROWS | {"test": chat_rows(5)}
    recipe = make_recipe(base, tmp_path / "raw.jsonl", training={"logging_steps": 1})
    spec = make_spec(tmp_path, recipe, rows)
    assert (tmp_path / "prepare" / "test.jsonl").stat().st_size > 0
    opened = tmp_path / "opened.txt"

    def listen() -> None:
        log = opened.open("a", buffering=1)

        def hook(event: str, arguments: Any) -> None:
            if event == "open" and isinstance(arguments[0], str | Path):
                log.write(f"{arguments[0]}\n")

        sys.addaudithook(hook)

    ended = run(spec, listen)
    assert ended.code == 0, ended.log
    seen = opened.read_text()
    assert "train.jsonl" in seen
    assert "validation.jsonl" in seen
    assert "test.jsonl" not in seen
    assert "test.jsonl" not in (spec.home / "spec.json").read_text()

    (tmp_path / "prepare" / "test.jsonl").unlink()
    without = spec.model_copy(update={"folder": str(tmp_path / "without")})
    assert run(without).code == 0
    assert weights_sha256(without) == weights_sha256(spec)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_bfloat16_products_train_float32_weights(base: Path, tmp_path: Path, method: str) -> None:
    """Autocast on a frozen bfloat16 base; what is trained and saved stays float32."""
    import numpy as np

    spec = a_spec(tmp_path, base, method, dtype="bfloat16")
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert {tensor.dtype for tensor in weights(spec).values()} == {np.dtype("float32")}
    assert losses(spec, "loss")[-1] < losses(spec, "loss")[0]
    assert result(spec).dtype == "bfloat16"
