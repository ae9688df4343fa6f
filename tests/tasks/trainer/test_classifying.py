"""Classification heads: what is trained, with which loss, read where, and resumed from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.trainer.spec import TrainSpec
from tests.records import COLOURS, make_recipe
from tests.tasks.trainer.forked import make_spec, run, weights_sha256
from tests.tasks.trainer.test_runs import dies_after, history, result

pytestmark = pytest.mark.slow

LABELS = ("black", "blue", "green", "red", "yellow")
FRAMES = ("what is the colour of the {}?", "name the colour of the {}", "the {} is", "{}:")


def rows(count: int) -> list[dict[str, Any]]:
    """Return texts of unlike length, each with the colour of the thing it names."""
    things = list(COLOURS)
    return [
        {
            "prompt": FRAMES[i // len(things) % len(FRAMES)].format(things[i % len(things)]),
            "completion": COLOURS[things[i % len(things)]],
        }
        for i in range(count)
    ]


ROWS = {"train": rows(40), "validation": rows(12)}


def a_spec(
    folder: Path, base: Path, method: str = "lora", variant: str = "lora", **changes: Any
) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    training = {"logging_steps": 1, "save_steps": 3, "seed": 3} | changes.pop("training", {})
    lora = {"variant": variant} if method != "full" else {}
    recipe = make_recipe(base, folder / "raw.jsonl", training=training, lora=lora)
    if method != "full":
        changes["variant"] = variant
    spec = make_spec(folder, recipe, ROWS, method, row_type="labelled", **changes)
    return spec.model_copy(update={"labels": LABELS})


@pytest.fixture(scope="module", params=["full", "lora"])
def unbroken(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainSpec, Any]:
    spec = a_spec(tmp_path_factory.mktemp(request.param), base, request.param)
    return spec, run(spec)


def test_a_head_learns_and_is_saved_with_its_labels(unbroken: tuple[TrainSpec, Any]) -> None:
    from safetensors.numpy import load_file

    spec, ended = unbroken
    assert ended.code == 0, ended.log
    assert ended.said("a label for each row")
    record = result(spec)
    losses = [entry["loss"] for entry in history(spec) if "loss" in entry]
    assert sum(losses[-3:]) < sum(losses[:3]) - 0.3
    assert record.validation_loss == min(e["eval_loss"] for e in history(spec) if "eval_loss" in e)
    if spec.method == "full":
        config = json.loads((spec.home / "model" / "config.json").read_text())
        assert config["id2label"] == {str(at): name for at, name in enumerate(LABELS)}
        assert config["label2id"] == {name: at for at, name in enumerate(LABELS)}
        assert config["pad_token_id"] == 0
        assert config["architectures"] == ["LlamaForSequenceClassification"]
        assert record.trainable_parameters == record.parameters
        return
    config = json.loads((spec.home / "adapter" / "adapter_config.json").read_text())
    assert config["task_type"] == "SEQ_CLS"
    assert "score" in config["modules_to_save"]
    heads = [
        t
        for name, t in load_file(spec.home / "adapter" / "adapter_model.safetensors").items()
        if "score" in name
    ]
    assert [head.shape for head in heads] == [(len(LABELS), 64)]


def test_a_killed_run_ends_bitwise_where_an_unbroken_one_does(
    unbroken: tuple[TrainSpec, Any], tmp_path: Path
) -> None:
    spec, _ = unbroken
    mine = spec.model_copy(update={"folder": str(tmp_path / "train")})
    assert run(mine, dies_after(7)).code == -9
    assert run(mine).code == 0
    assert result(mine).resumed_from_step == 6
    assert weights_sha256(mine) == weights_sha256(spec)
    assert history(mine) == history(spec)


@pytest.mark.parametrize("variant", ["lora", "adalora", "qlora"])
def test_the_adapter_reloads_with_the_logits_that_gave_the_validation_loss(
    variant: str, base: Path, tmp_path: Path
) -> None:
    """AdaLoRA's is saved pruned, QLoRA's belongs to a 4-bit base."""
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    from tasks.loading import agree_on_padding, load_tokenizer, load_tuned
    from tasks.trainer.classifying import label_loss

    method = "qlora" if variant == "qlora" else "lora"
    spec = a_spec(tmp_path, base, method, "lora" if variant == "qlora" else variant)
    ended = run(spec)
    assert ended.code == 0, ended.log
    quantization = spec.quantization if method == "qlora" else None
    model: Any = load_tuned(
        spec.base_path, spec.home / "adapter", "adapter", spec.model,
        dtype="float32", quantization=quantization, labels=LABELS,
    )  # fmt: skip
    tokenizer = load_tokenizer(spec.base_path)
    agree_on_padding(tokenizer, model)
    texts = [row["prompt"] for row in ROWS["validation"]]
    wanted = torch.tensor([LABELS.index(row["completion"]) for row in ROWS["validation"]])
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits
    loss = float(label_loss(SequenceClassifierOutput(logits=logits), wanted))
    assert loss == pytest.approx(result(spec).validation_loss, rel=2e-5)


def test_accumulated_batches_are_one_large_batch(base: Path, tmp_path: Path) -> None:
    one = a_spec(tmp_path / "one", base, "full")
    four = a_spec(
        tmp_path / "four", base, "full",
        per_device_train_batch_size=2, gradient_accumulation_steps=4,
    )  # fmt: skip
    assert run(one).code == run(four).code == 0
    ours, theirs = ([e["loss"] for e in history(s) if "loss" in e] for s in (one, four))
    assert ours == pytest.approx(theirs, abs=2e-5)


def test_a_text_s_scores_do_not_change_with_its_neighbours_in_the_batch(base: Path) -> None:
    """The silent failure: a model that does not know the padding token reads padding."""
    import torch

    from tasks.loading import agree_on_padding, load_base, load_tokenizer
    from tasks.recipe import ModelSection
    from tasks.scorer.labels import label_logits

    torch.manual_seed(0)
    section = ModelSection(model_name_or_path=str(base))
    model = load_base(str(base), section, dtype="float32", labels=LABELS).eval()
    tokenizer = load_tokenizer(str(base))
    tokenizer.padding_side = "left"
    rows = [[5, 6, 7, 8, 9, 10, 11], [12, 13], [14]]
    for pad in (None, 9):  # unknown, and another than the tokenizer's
        model.config.pad_token_id = pad
        agree_on_padding(tokenizer, model)
        assert (tokenizer.padding_side, model.config.pad_token_id) == ("right", 0)
        together = label_logits(model, rows, 3)
        alone = label_logits(model, rows, 1)
        assert torch.allclose(together, alone, atol=1e-6)
        assert not torch.allclose(together[0], together[1], atol=1e-3)
        padded = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        assert torch.allclose(model(**padded).logits, alone, atol=1e-6)


def test_a_tokenizer_without_padding_pads_with_its_end_token(base: Path) -> None:
    from tasks.errors import ModelError
    from tasks.loading import agree_on_padding, load_base, load_tokenizer
    from tasks.recipe import ModelSection

    section = ModelSection(model_name_or_path=str(base))
    model = load_base(str(base), section, dtype="float32", labels=LABELS)
    tokenizer = load_tokenizer(str(base))
    tokenizer.pad_token = None
    agree_on_padding(tokenizer, model)
    assert tokenizer.pad_token == tokenizer.eos_token
    assert model.config.pad_token_id == tokenizer.eos_token_id
    tokenizer.pad_token = tokenizer.eos_token = None
    with pytest.raises(ModelError, match="no padding and no end token"):
        agree_on_padding(tokenizer, model)
