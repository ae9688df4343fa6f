"""Evaluation: what the scoring child measures is what an independent forward measures."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import DataError, RecipeError
from tasks.evaluation import evaluate
from tests.candidates import Candidate, build_candidate

score = evaluate.fn.__wrapped__


def run(candidate: Candidate):
    return score(
        candidate.recipe,
        candidate.recommendation,
        candidate.checkpoint,
        candidate.splits,
        candidate.folder,
    )


def samples_of(candidate: Candidate, card) -> list[dict]:
    text = (candidate.folder.path / card.samples_path).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_rows(candidate: Candidate) -> list[dict]:
    text = (candidate.folder.path / "prepare/test.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


test_rows.__test__ = False


def independent(candidate: Candidate, row: dict, *, tuned: bool) -> tuple[float, int, str]:
    """One row, unbatched, in plain transformers and peft: nats, learned tokens, greedy answer."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = candidate.checkpoint.base_path
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    if tuned:
        model = PeftModel.from_pretrained(model, str(candidate.folder.path / "train"))
    model.eval()
    messages = row["messages"]
    prompt = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    answer = tokenizer(messages[-1]["content"] + "<|im_end|>")["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
        logs = torch.log_softmax(logits, -1)
        places = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
        nats = -sum(float(logs[p, t]) for p, t in zip(places, answer, strict=True))
        ids = list(prompt)
        for _ in range(candidate.splits.longest_answer_tokens + 8):
            best = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if best == tokenizer.eos_token_id:
                break
            ids.append(best)
    return nats, len(answer), tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory):
    events: list[dict] = []
    candidate = build_candidate(tmp_path_factory.mktemp("lora"))
    candidate = replace(candidate, folder=replace(candidate.folder, progress=events.append))
    return candidate, run(candidate), events


@pytest.mark.slow
def test_losses_and_answers_equal_an_independent_unbatched_forward(scored) -> None:
    candidate, card, _events = scored
    rows, found = test_rows(candidate), samples_of(candidate, card)
    for index in (0, 5, 11):
        for name in ("base", "tuned"):
            nats, tokens, answer = independent(candidate, rows[index], tuned=name == "tuned")
            assert found[index]["loss_tokens"] == tokens
            assert found[index][f"{name}_nats"] == pytest.approx(nats, rel=1e-5)
            assert found[index][f"{name}_answer"] == answer


@pytest.mark.slow
def test_the_scorecard_weights_by_tokens_and_sees_base_and_tuned_apart(scored) -> None:
    candidate, card, events = scored
    found = samples_of(candidate, card)
    loss = next(row for row in card.metrics if row.name == "loss")
    tokens = sum(sample["loss_tokens"] for sample in found)
    assert loss.tuned.value == pytest.approx(sum(s["tuned_nats"] for s in found) / tokens)
    assert loss.base.value == pytest.approx(math.log(384), abs=0.5)
    assert abs(loss.difference.value) > 0.01
    names = [row.name for row in card.metrics]
    assert names == ["loss", "perplexity", "token_accuracy", "exact_match"]
    last = {"event": "progress", "stage": "evaluate", "done": 48, "total": 48}
    assert events[-1] == last | {"text": "tuned model"}


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_a_candidate_is_scored_once_and_each_scoring_is_counted(scored) -> None:
    candidate, card, _events = scored
    assert run(candidate) == card
    assert card.test_uses == 1
    (candidate.folder.path / "evaluate" / "manifest.json").unlink()
    again = run(candidate)
    assert again.test_uses == 2
    assert again.metrics == card.metrics
    ledger = candidate.folder.path.parent.parent / "test_uses.jsonl"
    assert len(ledger.read_text(encoding="utf-8").splitlines()) == 2


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the child's work here: the libraries are loaded already."""
    from tasks.scorer.__main__ import score as score_rows

    monkeypatch.setattr(
        "tasks.evaluation.run_child",
        lambda _module, spec, _on_event: score_rows(json.loads(spec.read_text())),
    )


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("method", ["full", "qlora"])
def test_full_and_qlora_are_compared_with_the_original_base(method: str, tmp_path: Path) -> None:
    candidate = build_candidate(tmp_path, method, evaluation={"max_rows": 5})
    card = run(candidate)
    found = samples_of(candidate, card)
    assert card.test_rows == len(found) == 5
    nats, _tokens, answer = independent(candidate, test_rows(candidate)[2], tuned=False)
    assert found[2]["base_nats"] == pytest.approx(nats, rel=1e-5)
    assert found[2]["base_answer"] == answer
    assert found[2]["tuned_nats"] != pytest.approx(nats, rel=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_raw_text_is_scored_by_loss_alone(tmp_path: Path) -> None:
    candidate = build_candidate(tmp_path, row_type="text")
    card = run(candidate)
    assert card.primary == "loss"
    assert [row.name for row in card.metrics] == ["loss", "perplexity", "token_accuracy"]
    assert samples_of(candidate, card)[0]["tuned_answer"] is None


@pytest.mark.slow
def test_a_test_file_altered_since_it_was_prepared_is_refused(tmp_path: Path) -> None:
    candidate = build_candidate(tmp_path)
    with (candidate.folder.path / "prepare/test.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(DataError, match="changed since it was prepared"):
        run(candidate)
    assert not (tmp_path / "runs" / "test_uses.jsonl").exists()


@pytest.mark.slow
def test_exact_match_cannot_be_required_of_raw_text(tmp_path: Path) -> None:
    required = {"accuracy": 0.9, "metric": "exact_match"}
    candidate = build_candidate(tmp_path, row_type="text", requirements=required)
    with pytest.raises(RecipeError, match="raw text"):
        run(candidate)
