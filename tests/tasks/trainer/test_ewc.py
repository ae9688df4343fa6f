"""EWC: penalty and Fisher against brute force, resume to the bit, and less forgetting."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import General, Split
from tasks.encoding import Encoder
from tasks.estimates.architecture import from_config
from tasks.estimates.memory import estimate
from tasks.estimates.setups import Setup
from tasks.loading import load_tokenizer
from tasks.recipe import EwcSection, FreezeSection
from tasks.run_folder import file_sha256
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run, weights_sha256
from tests.tasks.trainer.test_runs import dies_after, history, result

pytestmark = pytest.mark.slow

ROWS = {"train": chat_rows(40), "validation": chat_rows(12)}
ASSETS = Path(__file__).parents[3] / "tasks" / "assets"


def general(path: Path, rows: list[dict[str, Any]], spec: TrainSpec) -> General:
    """Return rows as `prepare` would have written them."""
    encoder = Encoder(load_tokenizer(spec.base_path), spec.dataset, "messages")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    encoded = [encoder.encode(row) for row in rows]
    split = Split(
        path=str(path), rows=len(rows), sha256=file_sha256(path),
        tokens=sum(len(e.input_ids) for e in encoded),
        loss_tokens=sum(sum(e.loss_mask) for e in encoded),
    )  # fmt: skip
    return General(
        split=split, row_type="messages", sources=(), available_rows=len(rows), left_out={}
    )


def a_spec(folder: Path, base: Path, weight: float | None, **changes: Any) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    training = {"logging_steps": 1, "save_steps": 3, "seed": 3}
    recipe = make_recipe(base, folder / "raw.jsonl", training=training)
    section = None if weight is None else EwcSection(weight=weight, samples=6)
    recipe = recipe.model_copy(update={"ewc": section, "freeze": changes.pop("freeze", None)})
    spec = make_spec(folder, recipe, ROWS, "full", **changes)
    return spec.model_copy(
        update={"reference": general(folder / "reference.jsonl", chat_rows(46)[40:], spec)}
    )


def test_penalty_and_its_gradient_equal_a_brute_force_computation(base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from tasks.methods.ewc import Anchor, penalty

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(5)
    start = {n: p.detach() + 0.1 * torch.randn_like(p) for n, p in model.named_parameters()}
    fisher = {n: torch.rand_like(p) for n, p in model.named_parameters()}
    got = penalty(model, Anchor(3.0, fisher, start))
    got.backward()
    total = 0.0
    for name, parameter in model.named_parameters():
        pairs = zip(
            *(t.flatten().tolist() for t in (fisher[name], parameter.data, start[name])),
            strict=True,
        )
        total += sum(f * (now - then) ** 2 for f, now, then in pairs)
        wanted = 3.0 * fisher[name] * (parameter.data - start[name])
        assert torch.allclose(parameter.grad, wanted, rtol=1e-5, atol=1e-7)
    assert got.item() == pytest.approx(1.5 * total, rel=1e-5)


def test_the_fisher_equals_squared_gradients_row_by_row(base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from tasks.methods.ewc import fisher_of

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.model.embed_tokens.weight.requires_grad_(False)
    rows = [([5, 6, 7, 8, 9], [-100, -100, 7, 8, 9]), ([9, 4, 4, 2], [-100, 4, 4, 2])]
    found = fisher_of(model.train(), rows)
    assert model.training
    wanted = {n: torch.zeros_like(p) for n, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == wanted.keys()
    model.eval()
    for ids, labels in rows:
        model.zero_grad()
        learned = [(at, token) for at, token in enumerate(labels) if token != -100]
        logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        torch.stack([-logits[at - 1, token] for at, token in learned]).sum().backward()
        for name, parameter in model.named_parameters():
            if name in wanted:
                wanted[name] += parameter.grad**2 / 6
    for name, square in wanted.items():
        assert torch.allclose(found[name], square, rtol=1e-4, atol=1e-10)


def test_the_penalty_holds_the_weights_and_counts_once_a_step(base: Path, tmp_path: Path) -> None:
    """At the first step the penalty is 0; two half batches are one whole one."""
    import torch
    from safetensors.torch import load_file

    def ran(name: str, weight: float | None, **chosen: int) -> TrainSpec:
        spec = a_spec(tmp_path / name, base, weight, **chosen)
        ended = run(spec)
        assert ended.code == 0, ended.log
        assert ended.said("Fisher information of 6 rows") is (weight is not None)
        return spec

    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    free, held, split = ran("free", None), ran("held", 1e4), ran("split", 1e4, **halves)
    first = [next(e for e in history(spec) if "loss" in e) for spec in (free, held)]
    assert first[0] == first[1]
    before = load_file(base / "model.safetensors")
    fisher = load_file(held.checkpoints / "anchor" / "fisher.safetensors")
    after = [load_file(spec.home / "model" / "model.safetensors") for spec in (free, held, split)]
    moved = [sum((fisher[n] * (w[n] - before[n]) ** 2).sum().item() for n in w) for w in after]
    assert moved[1] < 0.2 * moved[0]
    assert moved[2] == pytest.approx(moved[1], rel=1e-3)
    for name in before:
        assert torch.allclose(after[1][name], after[2][name], atol=1e-4)


def test_the_reported_validation_loss_is_the_plain_one(base: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    spec = a_spec(tmp_path, base, 1e3)
    assert run(spec).code == 0
    model = AutoModelForCausalLM.from_pretrained(spec.home / "model", dtype=torch.float32).eval()
    assert result(spec).validation_loss == pytest.approx(
        loss_of(model, spec, ROWS["validation"]), abs=1e-4
    )


def loss_of(model: Any, spec: TrainSpec, rows: list[dict[str, Any]]) -> float:
    """Return the mean loss over the learned tokens of rows."""
    import torch

    encoder = Encoder(load_tokenizer(spec.base_path), spec.dataset, "messages")
    total, count = 0.0, 0
    for row in map(encoder.encode, rows):
        targets = torch.tensor(row.labels[1:])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
        count += int((targets != -100).sum())
    return total / count


@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_run_with_ewc_ends_bitwise_like_an_unbroken_one(
    base: Path, tmp_path: Path, torn: bool
) -> None:
    unbroken = a_spec(tmp_path / "unbroken", base, 50.0, freeze=FreezeSection(layers=1))
    assert run(unbroken).code == 0
    spec = unbroken.model_copy(update={"folder": str(tmp_path / "killed" / "train")})
    assert run(spec, dies_after(7)).code == -signal.SIGKILL
    anchor = spec.checkpoints / "anchor"
    if torn:
        (anchor / "fisher.safetensors").write_bytes(b"half")
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert ended.said("Fisher information of") is torn
    assert result(spec).resumed_from_step == 6
    assert weights_sha256(spec) == weights_sha256(unbroken)


def test_the_estimate_counts_fisher_and_start() -> None:
    config = json.loads((ASSETS / "base" / "config.json").read_text())
    model = from_config(config, "base")
    plain = Setup(architecture=model, method="full", length=128)
    section = FreezeSection(layers=2, embeddings=True)
    for setup in (plain, plain.model_copy(update={"freeze": section})):
        held = setup.model_copy(update={"ewc": True})
        more = estimate(held, None).weights_bytes - estimate(setup, None).weights_bytes
        assert more == 2 * 4 * (estimate(setup, None).optimizer_bytes // 8)
        assert estimate(held, None).high_bytes > estimate(setup, None).high_bytes + more
