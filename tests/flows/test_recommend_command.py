"""The recommend command: flags in, a decision out, at once and with nothing heavy loaded."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from flows.recommend_command import Flags, recommend_from_flags
from flows.recommend_facts import facts_from_flags
from tasks.contracts import Recommendation
from tasks.errors import BudgetError, DataError, ModelError, RecipeError
from tasks.recipe_file import load_recipe
from tasks.reports.recommendation_markdown import recommendation_markdown
from tests.flows.recommending import CONFIG, ISSUE, ROOT, run, written


def test_the_flags_of_the_issue_give_lora_with_a_stated_conflict() -> None:
    found = recommend_from_flags(ISSUE)
    assert found.method == "lora"
    assert found.hyperparameters is not None
    assert (found.hyperparameters.r, found.hyperparameters.variant) == (64, "rslora")
    assert found.conflict is not None
    assert "critical" in found.conflict
    assert found.comparison[0].memory.high_bytes > 100 * 2**30
    needed = f"{found.comparison[0].memory.high_bytes / 2**30:.1f} GiB needed, 23.5 GiB usable"
    assert needed in found.conflict


def test_json_has_every_key_of_the_issue_with_its_type() -> None:
    flags = Flags(**{**vars(ISSUE), "as_json": True})
    whole = json.loads(written(flags))
    record = recommend_from_flags(ISSUE)
    assert record.hyperparameters is not None
    assert whole["method"] == "lora"
    assert set(whole["lora"]) >= {"r", "lora_alpha", "use_rslora", "target_modules"}
    assert (whole["lora"]["r"], whole["lora"]["use_rslora"]) == (64, True)
    assert whole["learning_rate"] == record.hyperparameters.learning_rate
    assert whole["conflict"] is True
    assert whole["conflict_reason"] == record.conflict
    assert {"M1", "Q4.middle", "critical", "rank.medium", "rslora"} <= set(whole["fired"])
    assert whole["blocked"] == list(record.blocked) == ["M1"]
    assert whole["runner_up"]["method"] == "qlora"
    assert whole["would_change"]
    memory = whole["memory"]
    parts = memory["parts"]
    assert memory["allocated_bytes"] == sum(parts.values()) - parts["overhead"]
    assert memory["allocated_bytes"] < memory["device_low_bytes"] < memory["device_high_bytes"]
    assert memory["usable_bytes"] > memory["device_high_bytes"]
    for key in ("time_seconds", "cost_usd"):
        assert 0 < whole[key]["low"] < whole[key]["high"]
    assert whole["trainable_parameters"] == 167_772_160
    assert isinstance(whole["warnings"], list)
    assert "accuracy 96 %" in whole["understood"]
    assert "budget $5,000" in whole["understood"]
    assert "tasks 1" in whole["assumed"]


@pytest.mark.parametrize(
    ("flags", "method"),
    [
        (Flags(model="llama3.1-70b", gpu="4090", as_json=True), "none"),
        (Flags(model="llama3.1-8b", gpu="4090", rows="300", as_json=True), "prompting"),
        (Flags(model="llama3.2-1b", gpu="h200", method="full", as_json=True), "full"),
        (Flags(model="llama2-7b", gpu="t4", seq_len="2048", as_json=True), "qlora"),
    ],
)
def test_json_names_every_outcome(flags: Flags, method: str) -> None:
    whole = json.loads(written(flags))
    assert whole["method"] == method
    assert (whole["lora"] is not None) == (method == "qlora")


@pytest.mark.parametrize(
    "flags",
    [
        Flags(model="llama3.1-8b", gpu="2xl4", accuracy="96"),
        Flags(model="llama2-7b", gpu="t4", seq_len="2048", quantization="nf4"),
        Flags(model="llama3.2-1b", gpu="h200", method="full", optim="adamw_8bit", epochs="2"),
        Flags(model="llama3.1-8b", gpu="4090", target_modules="q_proj,v_proj", r="8"),
    ],
)
def test_the_yaml_fragment_put_into_a_recipe_gives_the_same_answer(
    flags: Flags, tmp_path: Path
) -> None:
    fragment = written(Flags(**{**vars(flags), "as_yaml": True}))
    data = tmp_path / "rows.jsonl"
    data.write_text('{"messages": []}\n' * 20, encoding="utf-8")
    recipe = tmp_path / "pasted.yaml"
    head = f"name: pasted\nmodel: {{model_name_or_path: {flags.model}}}\n"
    recipe.write_text(f"{head}dataset: {{path: {data}}}\n{fragment}", encoding="utf-8")
    loaded = load_recipe(recipe).recipe
    first = recommend_from_flags(flags)
    assert first.hyperparameters is not None
    assert loaded.method == first.method
    again = recommend_from_flags(
        Flags(
            recipe=str(recipe), gpu=flags.gpu, accuracy=flags.accuracy,
            rows="10000", seq_len=flags.seq_len or "1024",
        )
    )  # fmt: skip
    assert again.hyperparameters == first.hyperparameters
    assert again.memory == first.memory
    assert again.cost == first.cost


def test_no_fragment_is_written_where_nothing_is_to_be_trained() -> None:
    with pytest.raises(BudgetError, match="cheapest by the hour"):
        written(Flags(model="llama3.1-70b", gpu="4090", as_yaml=True))
    with pytest.raises(DataError, match="200 more usable rows"):
        written(Flags(model="llama3.1-8b", gpu="4090", rows="300", as_yaml=True))


@pytest.mark.parametrize("width", [80, 140])
def test_people_see_verdict_questions_comparison_bar_and_what_would_change_it(width: int) -> None:
    lines = written(ISSUE, width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    text = " ".join(" ".join(lines).split())
    for word in (
        *("Recommendation: LoRA r 64 (rsLoRA) for llama3.1-8b on rtx-4090: ", "alpha 16"),
        *("all-linear", "learning rate", "0.0002", "gradient checkpointing", "of 23.5 GiB"),
        *("2026-03 to 2026-05", "The six questions", "1 What may it cost?", "2 Which hardware"),
        *("6 Does it keep", "Side by side", "8.03B (100 %)", "168M (2.09 %)", "32.1 GB"),
        *("risk of forgetting", "arXiv 2305.14314", "weights 15", "runner-up", "rejected"),
        *("Full needs", "evidence, version", "understood: model", "assumed: tasks 1"),
    ):
        assert word in text, word


def test_the_same_stands_in_the_markdown() -> None:
    text = recommendation_markdown(recommend_from_flags(ISSUE))
    assert text.startswith("# Recommendation: LoRA, r 64\n")
    for word in ("| rank, alpha | 64, 16 (rslora) |", "**decided**", "overruled by M1 memory"):
        assert word in text, word
    assert "None" not in text


def test_every_wrong_flag_is_told_at_once_and_how_to_write_it() -> None:
    wrong = Flags(
        gpu="A100", accuracy="140", budget="-3", tasks="0", deployment="quick", rows="many"
    )
    with pytest.raises(RecipeError) as told:
        recommend_from_flags(wrong)
    assert str(told.value).splitlines() == [
        "--gpu A100: 40 or 80 GB? Write a100-40 or a100-80.",
        "--budget -3: must be above 0.",
        "--tasks 0: must be at least 1.",
        "--accuracy 140: must be above 0 and at most 100 %.",
        "--deployment quick: must be one of cloud, edge, rapid.",
        "--rows many: is not a number; write it as 500, 1e3 or $1,000.",
        "--model: which model? Such as llama2-7b, llama2-13b, llama2-70b, or a recipe.",
    ]


def test_a_card_or_model_that_is_not_known_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean rtx-4090"):
        recommend_from_flags(Flags(model="llama3.1-8b", gpu="rtx-409"))
    with pytest.raises(ModelError, match=r"Did you mean llama3\.1-8b"):
        recommend_from_flags(Flags(model="llama3.1-8", gpu="4090"))


def test_flags_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(RecipeError, match="contradicts --method full"):
        recommend_from_flags(Flags(model="llama3.1-8b", method="full", quantization="nf4"))
    with pytest.raises(RecipeError, match="says 2 cards and --gpu-count 3"):
        recommend_from_flags(Flags(model="llama3.1-8b", gpu="2x4090", gpu_count="3"))
    with pytest.raises(RecipeError, match="has 131,072 positions|has [0-9,]+ positions"):
        recommend_from_flags(Flags(recipe="quickstart", seq_len="1000000"))


def test_a_recipe_answers_and_a_flag_wins_over_it() -> None:
    answered = facts_from_flags(Flags(recipe="recipes/quickstart.yaml"))
    facts = answered.facts
    recipe = load_recipe("quickstart").recipe
    assert facts.requirements == recipe.requirements
    assert (facts.lora.r, facts.length) == (recipe.lora.r, recipe.dataset.max_length)
    assert 2600 < facts.rows < 2800  # 3,026 lines, a tenth for validation
    assert any("train.jsonl: 3,026 rows" in line for line in answered.assumed)
    other = facts_from_flags(Flags(recipe="quickstart", accuracy="99%", r="4", gpu="l4")).facts
    assert (other.requirements.accuracy, other.lora.r) == (0.99, 4)
    assert other.hardware.name == "l4"
    assert facts_from_flags(Flags(recipe="quickstart", rows="123")).facts.rows == 123


def test_a_config_json_and_its_folder_are_models(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    by_folder = facts_from_flags(Flags(model=str(tmp_path))).facts
    by_file = facts_from_flags(Flags(model=str(tmp_path / "config.json"))).facts
    assert by_folder.architecture == by_file.architecture
    assert facts_from_flags(Flags(model="meta-llama/Llama-2-7b-hf")).facts.architecture.name == (
        "llama2-7b"
    )


def test_nothing_fits_shows_what_would_and_exits_with_3() -> None:
    done = run("--model", "llama3.1-70b", "--gpu", "rtx-4090")
    assert done.returncode == 3
    assert "nothing fits" in done.stdout
    assert "fit, cheapest by the hour" in " ".join(done.stdout.split())


def test_wrong_input_exits_with_2_and_one_line() -> None:
    done = run("--model", "llama3.1-8b", "--gpu", "4090", "--accuracy", "1.5")
    assert done.returncode == 2
    assert done.stderr == "--accuracy 1.5: could be 1.5 % or 150 %; write 1.5% or 0.015.\n"
    assert done.stdout == ""


def test_fewer_than_500_rows_are_for_prompting() -> None:
    text = written(Flags(model="llama3.1-8b", gpu="4090", rows="300"))
    assert "prompting" in text
    assert "200 more usable rows" in text


def test_without_a_card_this_machine_is_meant(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    found = recommend_from_flags(Flags(model=str(tmp_path), gpu="cpu", rows="10000", seq_len="64"))
    assert (found.method, found.device) == ("lora", "cpu")
    assert found.cost is not None
    assert found.cost.high_usd is None
    assert found.hyperparameters is not None
    assert found.hyperparameters.learning_rate == 6e-3
    assert found.runner_up is not None
    assert found.runner_up.method == "full"


def test_the_cards_and_models_are_listed() -> None:
    cards, models = run("--list-gpus"), run("--list-models")
    assert cards.returncode == models.returncode == 0
    assert "rtx-4090" in cards.stdout
    assert "2026-03 to 2026-05" in cards.stdout
    assert "8,030,261,248" in models.stdout


def test_the_interview_asks_what_is_open_and_repeats_a_wrong_answer() -> None:
    from flows.interview import ask_what_is_missing

    page = io.StringIO()
    told = iter(["", "llama3.1-8b", "$500", "A100", "2 x a100-80", "", "95", "", "", "", "5k", ""])
    asked = ask_what_is_missing(Flags(), Console(file=page, width=200), lambda: next(told))
    facts = facts_from_flags(asked).facts
    assert facts.hardware.title == "2 x a100-80"
    assert facts.requirements.accuracy == 0.95
    assert (facts.rows, facts.length, facts.budget.max_usd) == (5000, 1024, 500)
    assert "40 or 80 GB?" in page.getvalue()
    assert "A model is needed." in page.getvalue()


def test_the_interview_leaves_out_what_flags_and_recipe_say() -> None:
    from flows.interview import ask_what_is_missing

    page = io.StringIO()
    flags = Flags(recipe="recipes/quickstart.yaml", budget="5", tasks="1", gpu="cpu")
    ask_what_is_missing(flags, Console(file=page, width=200), lambda: "")
    assert page.getvalue().count("?") == 2  # deployment and continual

    def nobody() -> str:
        raise EOFError

    with pytest.raises(RecipeError, match="--model"):
        ask_what_is_missing(Flags(), Console(file=page), nobody)


def test_a_fragment_is_plain_yaml() -> None:
    whole = yaml.safe_load(written(Flags(**{**vars(ISSUE), "as_yaml": True})))
    assert set(whole) == {"method", "lora", "training"}


def test_a_record_of_an_older_version_is_still_read() -> None:
    old = recommend_from_flags(ISSUE).model_dump(
        mode="json", exclude={"blocked", "comparison", "advice"}
    )
    assert Recommendation.model_validate(old).comparison == ()


def test_it_answers_in_about_half_a_second_with_nothing_heavy_loaded() -> None:
    """CPU time of a whole process, so that a busy machine does not fail it."""
    code = (
        "import sys; sys.argv = ['finetune', 'recommend', '--model', 'llama3.1-8b', '--gpu', "
        "'rtx-4090', '--accuracy', '96']\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'prefect', 'torch', 'transformers', 'peft', 'datasets', 'trl', 'numpy', "
        "'great_expectations', 'pandas', 'pyarrow', 'huggingface_hub', 'tasks.stage'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.7  # 0.4 measured on an idle machine (bench/recommend.py)
