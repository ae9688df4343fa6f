"""A classifier from scoring to release: what was evaluated is what a stranger loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.generate_command import answers, generate
from tasks.contracts import Release, Scorecard
from tasks.errors import ReleaseError
from tasks.evaluation import evaluate
from tasks.publication import publish
from tasks.targets.folder import read_release
from tests.candidates import COLOURS, Candidate, build_candidate

pytestmark = pytest.mark.slow

TEXT = "what is the colour of the apple 99?"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the children's work here: the libraries are loaded already."""
    from tasks.exports.__main__ import export
    from tasks.scorer.__main__ import score

    def run_here(work: Any) -> Any:
        return lambda _module, spec, _on_event: work(json.loads(spec.read_text()))

    monkeypatch.setattr("tasks.publication.run_child", run_here(export))
    monkeypatch.setattr("tasks.evaluation.run_child", run_here(score))


def candidate_of(place: Path, method: Any = "lora", kind: str = "adapter") -> Candidate:
    settings = {"kind": kind, "registry": str(place / "registry")}
    return build_candidate(place, method, "labelled", task_type="SEQ_CLS", publish=settings)


def scored(candidate: Candidate) -> Scorecard:
    return evaluate.fn.__wrapped__(
        candidate.recipe,
        candidate.recommendation,
        candidate.checkpoint,
        candidate.splits,
        candidate.folder,
    )


def released(candidate: Candidate) -> Release:
    """Publish a random classifier, as if it had passed its gates."""
    card = scored(candidate).model_copy(update={"passed": True})
    evidence = candidate.evidence(card)
    return publish.fn.__wrapped__(candidate.recipe, candidate.base, evidence, candidate.folder)


def logits_of(candidate: Candidate, text: str) -> Any:
    """Return the logits of the candidate's own weights, in plain transformers and peft."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BitsAndBytesConfig

    base, weights = candidate.checkpoint.base_path, candidate.folder.path / "train"
    tokenizer = AutoTokenizer.from_pretrained(base)
    extra: dict[str, Any] = {}
    if candidate.checkpoint.method == "qlora":
        extra["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        )  # fmt: skip
    whole = candidate.checkpoint.kind == "model"
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        weights if whole else base, num_labels=len(COLOURS), dtype=torch.float32, **extra
    )
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    model = model if whole else PeftModel.from_pretrained(model, str(weights))
    with torch.no_grad():
        return model.eval()(**tokenizer(text, return_tensors="pt")).logits[0]


def test_answers_and_losses_are_those_of_an_independent_forward(tmp_path: Path) -> None:
    candidate = candidate_of(tmp_path)
    card = scored(candidate)
    lines = (candidate.folder.path / card.samples_path).read_text().splitlines()
    rows = (candidate.folder.path / "prepare/test.jsonl").read_text().splitlines()
    assert len(lines) == len(rows) == 12
    for sample, row in zip(map(json.loads, lines), map(json.loads, rows), strict=True):
        logs = logits_of(candidate, row["prompt"]).log_softmax(-1)
        place = COLOURS.index(row["completion"])
        assert sample["reference"] == row["completion"]
        assert sample["tuned_answer"] == COLOURS[int(logs.argmax())]
        assert sample["tuned_nats"] == pytest.approx(-float(logs[place]), abs=1e-5)
        assert sample["tuned_probability"] == pytest.approx(float(logs.max().exp()), abs=1e-5)
        assert sample["base_answer"] == COLOURS[0], "of equally common labels the first"
    assert card.primary == "accuracy"
    assert {row.name for row in card.metrics} == {"accuracy", "macro_f1", "loss"}
    assert "no answers before its head is trained" in card.base
    assert [each.name for each in card.labels] == list(COLOURS)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("lora", "adapter"),
        ("full", "adapter"),
        *(
            pytest.param(*case, marks=pytest.mark.stress)
            for case in (("lora", "merged"), ("qlora", "adapter"), ("qlora", "merged"))
        ),
    ],
)
def test_the_code_on_the_card_gives_the_evaluated_label_elsewhere(
    method: str, kind: str, tmp_path: Path
) -> None:
    candidate = candidate_of(tmp_path, method, kind)
    release = released(candidate)
    card = Path(release.card_path).read_text()
    code = card.split("```python\n")[1].split("```")[0].replace("Your text", TEXT)
    code += "print(*model(**inputs).logits[0].tolist())\n"
    script = tmp_path / "card.py"
    script.write_text(code)
    command = [sys.executable, "-I", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, code + done.stderr
    label, logits = done.stdout.splitlines()[-2:]
    expected = logits_of(candidate, TEXT)
    seen = [float(each) for each in logits.split()]
    assert seen == pytest.approx(expected.tolist(), abs=1e-5, rel=1e-4)
    assert label.split()[0] == COLOURS[int(expected.argmax())]
    assert "pipeline_tag: text-classification" in card
    assert "one of 5 labels" in card
    assert "| label | test rows | given | right |" in card
    if method == "full" or kind == "merged":
        config = json.loads((Path(release.path) / "config.json").read_text())
        assert config["id2label"] == {str(at): name for at, name in enumerate(COLOURS)}
        assert config["pad_token_id"] == 0


def test_generate_gives_the_label_beside_the_commonest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = candidate_of(tmp_path)
    release = released(candidate)
    given = answers(Path(release.path), read_release(Path(release.path)), TEXT, 5)
    shares = logits_of(candidate, TEXT).softmax(-1)
    best = COLOURS[int(shares.argmax())]
    assert given["tuned"] == f"{best} ({float(shares.max()):.1%})"
    assert given["base"] == f"{COLOURS[0]} (20.0% of the training rows have it)"
    generate("colours", TEXT, registry=tmp_path / "registry")
    assert "without a model" in capsys.readouterr().out


def test_a_head_that_tells_nothing_apart_is_not_published(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    candidate = candidate_of(tmp_path)
    weights = candidate.folder.path / "train" / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({k: v * ("score" not in k) for k, v in tensors.items()}, weights)
    with pytest.raises(ReleaseError, match="the same scores"):
        released(candidate)
    assert [p.name for p in (tmp_path / "registry").iterdir()] == [".staging"]
