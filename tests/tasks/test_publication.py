"""Publication: what is published is what was evaluated, wherever it is loaded."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flows.generate_command import answers, generate
from tasks.contracts import Gate, Measure, MetricRow, Release, Scorecard
from tasks.errors import ModelError, ReleaseError
from tasks.publication import publish
from tasks.targets.folder import read_release
from tests.candidates import Candidate, build_candidate, chat

work = publish.fn.__wrapped__
CHECKOUT = Path(__file__).parents[2]

#: Run where nothing of ours can be imported; prints logits of one prompt as JSON.
ELSEWHERE = """
import json, sys
import torch
from transformers import AutoModelForCausalLM
kind, base, release, ids, quantized, out = json.load(open(sys.argv[1]))
extra = {}
if quantized:
    from transformers import BitsAndBytesConfig
    extra["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32)
path = base if kind == "adapter" else release
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **extra)
if kind == "adapter":
    from peft import PeftModel
    model = PeftModel.from_pretrained(model, release)
for module in model.modules():
    if hasattr(module, "support_avx512bf16_for_cpu"):
        module.support_avx512bf16_for_cpu = False
assert "tasks" not in sys.modules
with torch.no_grad():
    json.dump(model.eval()(input_ids=torch.tensor([ids])).logits[0].tolist(), open(out, "w"))
"""


def scorecard(*, passed: bool = True) -> Scorecard:
    measure = Measure(value=0.9, low=0.8, high=0.95)
    row = MetricRow(
        name="exact_match",
        unit="%",
        higher_is_better=True,
        rows=12,
        base=measure,
        tuned=measure,
        difference=measure,
        interval="Wilson; Tango for the difference",
    )
    gate = Gate(
        name="better_than_base",
        verdict="met" if passed else "missed",
        requirement="exact_match better than the base model's",
        observed="+90 points",
        rows_needed=None,
        sentence="better, with the whole interval.",
    )
    return Scorecard(
        test_rows=12,
        test_sha256="a" * 64,
        test_uses=1,
        primary="exact_match",
        metrics=(row,),
        gates=(gate,),
        passed=passed,
        samples_path="evaluate/samples.jsonl",
        wall_seconds=1.0,
    )


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the child's work here: the libraries are loaded already."""
    from tasks.exports.__main__ import export

    monkeypatch.setattr(
        "tasks.publication.run_child",
        lambda _module, spec, _on_event: export(json.loads(spec.read_text())),
    )


def run(candidate: Candidate) -> Release:
    evidence = candidate.evidence(scorecard())
    return work(candidate.recipe, candidate.base, evidence, candidate.folder)


def evaluated_logits(candidate: Candidate, ids: list[int]):
    """Logits of the model as the scorer loads it."""
    import torch

    from tasks.loading import load_tuned

    checkpoint = candidate.checkpoint
    model = load_tuned(
        checkpoint.base_path,
        candidate.folder.path / "train",
        checkpoint.kind,
        candidate.recipe.model,
        dtype="float32",
        quantization=candidate.recipe.quantization if checkpoint.method == "qlora" else None,
    )
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def logits_elsewhere(candidate: Candidate, release: Release, ids: list[int], place: Path):
    """Logits of the release in another process, outside the checkout, by transformers and peft."""
    import torch

    out, script = place / "logits.json", place / "elsewhere.py"
    script.write_text(ELSEWHERE)
    quantized = candidate.checkpoint.method == "qlora" and release.kind == "adapter"
    spec = [release.kind, candidate.base.path, release.path, ids, quantized, str(out)]
    (place / "spec.json").write_text(json.dumps(spec))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-I", str(script), str(place / "spec.json")]
    subprocess.run(command, cwd=place, env=environment, check=True)
    return torch.tensor(json.loads(out.read_text()))


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("method", "kind", "error"),
    [
        ("lora", "adapter", 1e-6),
        ("lora", "merged", 1e-5),
        ("qlora", "adapter", 1e-6),
        ("qlora", "merged", 1e-5),
        ("full", "adapter", 1e-6),
    ],
)
def test_a_release_has_the_evaluated_logits_in_another_process(
    tmp_path: Path, method: str, kind: str, error: float
) -> None:
    settings = {"kind": kind, "registry": str(tmp_path / "registry")}
    candidate = build_candidate(tmp_path, method, publish=settings)
    release = run(candidate)
    assert release.kind == ("model" if method == "full" else kind)
    assert release.checks["reload"]["relative_error"] <= error
    assert release.checks["alive"]["relative_error"] > 0.01
    ids = [5, 17, 40, 99, 200, 301, 7, 8]
    expected = evaluated_logits(candidate, ids)
    seen = logits_elsewhere(candidate, release, ids, tmp_path)
    assert float((seen - expected).norm() / expected.norm()) <= error
    config = Path(release.path) / "config.json"
    if config.exists():
        assert "quantization_config" not in json.loads(config.read_text())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Candidate, Release]:
    candidate = build_candidate(tmp_path_factory.mktemp("published"))
    return candidate, run(candidate)


@pytest.mark.slow
def test_the_adapter_names_its_base_and_carries_no_path_of_ours(published) -> None:
    candidate, release = published
    folder = Path(release.path)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == candidate.recipe.model.model_name_or_path
    assert {p.name for p in folder.iterdir()} >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "chat_template.jinja",
        "generation_config.json",
        "tokenizer.json",
        "release.json",
        "README.md",
    }
    about = read_release(folder)
    assert about["sha256"] == release.sha256
    assert about["data"]["rejected"] == {"empty_answer": 4}
    assert "samples_path" not in about["scorecard"]
    assert str(candidate.folder.path) not in (folder / "release.json").read_text()


@pytest.mark.slow
def test_the_card_has_front_matter_and_no_rows_of_data(published) -> None:
    candidate, release = published
    card = Path(release.card_path).read_text()
    _, front, body = card.split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["base_model"] == candidate.base.name
    assert fields["library_name"] == "peft"
    for heading in ("How to load it", "Evaluation", "Data", "Method", "Limitations", "Checksums"):
        assert f"## {heading}" in body
    assert (
        "empty-answers: accepted by Ann on 2026-11-23, until 2099-01-31: the "
        "&lt;b&gt;form&lt;/b&gt;'s last page" in body
    )
    assert "- old:" not in body
    assert "- after memory ran out, changed: smaller micro-batch: 2 sequences" in body
    assert "| per\\_device\\_train\\_batch\\_size | 2 |" in body, "what was trained with"
    for index in range(36):
        assert chat(index)["messages"][0]["content"] not in card


@pytest.mark.slow
def test_the_code_on_the_card_runs_as_it_stands(published, tmp_path: Path) -> None:
    _candidate, release = published
    code = Path(release.card_path).read_text().split("```python\n")[1].split("```")[0]
    script = tmp_path / "card.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-I", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n")


@pytest.mark.slow
def test_a_candidate_is_published_once_and_again_if_its_release_is_gone(published) -> None:
    candidate, release = published
    assert run(candidate) == release
    (candidate.folder.path / "publish" / "manifest.json").unlink()
    assert run(candidate).version == release.version
    (Path(release.path) / "tokenizer.json").write_text("{}")
    again = run(candidate)
    assert again.version == 2
    assert again.sha256 == release.sha256
    with pytest.raises(ModelError, match="There are: colours"):
        generate("colour", "hello", registry=Path(release.path).parents[1])


@pytest.mark.slow
def test_base_and_tuned_answer_side_by_side(tmp_path: Path, capsys) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    candidate = build_candidate(tmp_path)
    release = run(candidate)
    prompt = chat(24)["messages"][0]["content"]
    generate("colours", prompt, registry=tmp_path / "registry", max_new_tokens=6)
    shown = capsys.readouterr().out
    assert "colours v1" in shown
    assert "tuned: adapter" in shown
    given = answers(Path(release.path), read_release(Path(release.path)), prompt, 6)
    base = AutoModelForCausalLM.from_pretrained(candidate.base.path)
    tokenizer = AutoTokenizer.from_pretrained(candidate.base.path)
    turns = [{"role": "user", "content": prompt}]
    ids = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )["input_ids"]
    out = base.generate(input_ids=ids, do_sample=False, max_new_tokens=6)[0, ids.shape[1] :]
    assert given["base"] == tokenizer.decode(out, skip_special_tokens=True)
    assert given["tuned"] != given["base"]


@pytest.mark.slow
def test_a_base_that_changed_since_is_refused(published) -> None:
    candidate, release = published
    config = Path(candidate.base.path) / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ModelError, match="no longer the base model"):
        answers(Path(release.path), read_release(Path(release.path)), "hello", 4)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_a_dead_adapter_is_refused_and_nothing_is_visible(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    candidate = build_candidate(tmp_path)
    weights = candidate.folder.path / "train" / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({k: v * ("lora_B" not in k) for k, v in tensors.items()}, weights)
    with pytest.raises(ReleaseError, match="change nothing"):
        run(candidate)
    assert [p.name for p in (tmp_path / "registry").iterdir()] == [".staging"]


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_a_merge_into_the_wrong_base_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"kind": "merged", "registry": str(tmp_path / "registry")}
    candidate = build_candidate(tmp_path, "qlora", publish=settings)
    from tasks.exports.spec import ExportSpec

    quantization = ExportSpec.load_quantization
    writers = __import__("tasks.exports.__main__", fromlist=["WRITERS"]).WRITERS

    def into_the_original(spec: ExportSpec, out: Path) -> None:
        monkeypatch.setattr(ExportSpec, "load_quantization", None)
        writers["model_of_old"](spec, out)
        monkeypatch.setattr(ExportSpec, "load_quantization", quantization)

    monkeypatch.setitem(writers, "model_of_old", writers["merged"])
    monkeypatch.setitem(writers, "merged", into_the_original)
    with pytest.raises(ReleaseError, match="not the model that was evaluated"):
        run(candidate)
    assert [p.name for p in (tmp_path / "registry").iterdir()] == [".staging"]


@pytest.mark.slow
def test_a_publisher_killed_in_the_middle_leaves_nothing_visible(tmp_path: Path) -> None:
    candidate = build_candidate(tmp_path)
    pid = os.fork()
    if pid == 0:
        run(candidate)
        os._exit(0)
    staging, deadline = tmp_path / "registry" / ".staging", time.monotonic() + 60
    while not list(staging.glob("*/adapter_config.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [p.name for p in (tmp_path / "registry").iterdir()] == [".staging"]
    assert run(candidate).version == 1


@pytest.mark.slow
def test_a_candidate_that_missed_its_gates_is_not_published(tmp_path: Path) -> None:
    candidate = build_candidate(tmp_path)
    evidence = candidate.evidence(scorecard(passed=False))
    with pytest.raises(ReleaseError, match="did not pass"):
        work(candidate.recipe, candidate.base, evidence, candidate.folder)
