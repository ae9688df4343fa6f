"""The recommend command: flags in, a decision out, at once and with nothing heavy loaded."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows.recommend_command import Flags, recommend_from_flags, show
from tasks.contracts import Recommendation
from tasks.errors import ModelError, RecipeError
from tasks.reports.recommendation_markdown import recommendation_markdown

ROOT = Path(__file__).resolve().parents[2]
ISSUE = Flags(
    model="llama3.1-8b",
    gpu="rtx-4090",
    budget=5000,
    accuracy=0.96,
    critical=True,
    rows=10_000,
    tokens=1024,
)


def written(flags: Flags, *, as_json: bool = False) -> str:
    page = io.StringIO()
    show(recommend_from_flags(flags), Console(file=page, width=160), as_json=as_json)
    return page.getvalue()


def test_the_flags_of_the_issue_give_lora_with_a_stated_conflict() -> None:
    found = recommend_from_flags(ISSUE)
    assert found.method == "lora"
    assert found.hyperparameters is not None
    assert (found.hyperparameters.r, found.hyperparameters.variant) == (64, "rslora")
    assert found.conflict is not None
    assert "critical" in found.conflict
    assert "125.7 GiB needed, 23.5 GiB usable" in found.conflict


def test_json_is_the_record() -> None:
    text = written(ISSUE, as_json=True)
    assert Recommendation.model_validate(json.loads(text)) == recommend_from_flags(ISSUE)


def test_people_see_settings_figures_reasons_and_what_would_change_it() -> None:
    text = written(ISSUE)
    for word in (
        *("LoRA r 64", "alpha 16", "rslora", "all-linear", "learning rate", "0.0002"),
        *("gradient checkpointing", "of 23.5 GiB", "$", "2026-03 to 2026-05", "Q4 95-98 %"),
        *("What may it cost?", "Which hardware", "How many tasks?", "Does it keep learning?"),
        *("runner-up QLoRA", "Full needs", "evidence, version"),
    ):
        assert word in text, word


def test_the_same_stands_in_the_markdown() -> None:
    text = recommendation_markdown(recommend_from_flags(ISSUE))
    assert text.startswith("# Recommendation: LoRA, r 64\n")
    for word in ("| rank, alpha | 64, 16 (rslora) |", "**decided**", "overruled by M1 memory"):
        assert word in text, word
    assert "None" not in text


def test_every_wrong_flag_is_told_at_once_and_how_to_write_it() -> None:
    wrong = Flags(model="llama3.1-8b", gpu="4090", accuracy=96, tasks=0, rapid="quick", rows=0)
    with pytest.raises(RecipeError) as told:
        recommend_from_flags(wrong)
    lines = str(told.value).splitlines()
    assert lines[0] == "--accuracy 96: is a fraction: write 0.96."
    assert [line.split()[0] for line in lines] == ["--accuracy", "--tasks", "--rapid", "--rows"]


def test_a_card_or_model_that_is_not_known_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean rtx-4090"):
        recommend_from_flags(Flags(model="llama3.1-8b", gpu="rtx-409"))
    with pytest.raises(ModelError, match=r"Did you mean llama3\.1-8b"):
        recommend_from_flags(Flags(model="llama3.1-8", gpu="4090"))


def test_nothing_fits_shows_what_would() -> None:
    text = written(Flags(model="llama3.1-70b", gpu="rtx-4090"))
    assert "nothing fits" in text
    assert "It would fit" in text


def test_fewer_than_500_rows_are_for_prompting() -> None:
    text = written(Flags(model="llama3.1-8b", gpu="4090", rows=300))
    assert "prompting" in text
    assert "200 more usable rows" in text


def test_without_a_card_this_machine_is_meant(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128}
    config |= {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 300}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = recommend_from_flags(Flags(model=str(tmp_path), gpu="cpu", rows=10_000, tokens=64))
    assert (found.method, found.device) == ("lora", "cpu")
    assert found.cost is not None
    assert found.cost.high_usd is None
    assert found.hyperparameters is not None
    assert found.hyperparameters.learning_rate == 4e-3
    assert found.runner_up is not None
    assert found.runner_up.method == "full"


def test_it_answers_in_half_a_second_with_nothing_heavy_loaded() -> None:
    """CPU time of a whole process, so that a busy machine does not fail it."""
    code = (
        "import sys; from rich.console import Console; "
        "from flows.recommend_command import Flags, recommend_from_flags, show; "
        "show(recommend_from_flags(Flags('llama3.1-8b', 'rtx-4090', accuracy=0.96)), Console()); "
        "heavy = {'prefect', 'torch', 'transformers', 'peft', 'datasets', 'trl', 'numpy'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 0.5
