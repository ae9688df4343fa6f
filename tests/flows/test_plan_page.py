"""The plan: every setting with its origin, a cost for every stage, and the diff with the rules."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.plan_page import plan_page, plan_text, seconds_of
from tasks.contracts import Recommendation, Split, Splits
from tasks.decision import decide
from tasks.estimates.architecture import architecture
from tasks.estimates.facts import facts_for
from tasks.estimates.stages import stage_costs
from tasks.recipe import Recipe
from tasks.reports.plan_markdown import resolved_settings
from tasks.run_folder import RunFolder

MEASURED = {"prepare": 33.0, "validate": 8.0, "recommend": 0.2}


def splits(rows: int = 10_000) -> Splits:
    split = Split(path="x", rows=rows, sha256="1", tokens=500 * rows, loss_tokens=100 * rows)
    test = split.model_copy(update={"rows": 1000, "tokens": 500_000})
    return Splits(
        format="messages", format_reason="columns", row_type="messages", sources=(), rows_in=rows,
        train=split, validation=test, test=test, rejected={}, rejected_path="r", profile_path="p",
        max_length=1024, max_length_reason="longest row", longest_answer_tokens=92,
        token_percentiles={}, checkable=True, template="", template_sha256="",
    )  # fmt: skip


def planned(**sections: object) -> tuple[Recipe, Splits, Recommendation]:
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "model": {"model_name_or_path": "llama3.1-8b"},
            "dataset": {"path": "rows.jsonl"},
            "budget": {"gpu": "a6000"},
            **sections,
        }
    )
    data = splits()
    return recipe, data, decide(facts_for(recipe, architecture("llama3.1-8b"), data))


def written(recipe: Recipe, data: Splits, choice: Recommendation) -> str:
    page = io.StringIO()
    for part in plan_page(recipe, data, choice, MEASURED):
        Console(file=page, width=140).print(part)
    return page.getvalue()


def test_every_setting_of_the_training_is_there_with_its_origin() -> None:
    recipe, data, choice = planned(lora={"r": 8}, training={"seed": 7, "adam_beta2": 0.95})
    rows = {key: (value, source) for key, value, source in resolved_settings(recipe, data, choice)}
    assert rows["training.adam_beta2"] == ("0.95", "recipe"), "handed on to SFTConfig"
    assert choice.hyperparameters is not None
    assert rows["lora.r"] == ("8", "recipe")
    assert rows["training.seed"] == ("7", "recipe")
    assert rows["training.learning_rate"] == ("0.0002", "chosen")
    assert rows["training.optim"] == ("adamw_torch_fused", "default")
    assert rows["model.dtype"] == ("bfloat16", "chosen")
    assert rows["dataset.max_length"] == ("1024", "chosen")
    assert rows["training.global_batch_size"] == ("16", "chosen")
    assert rows["steps"] == (f"{choice.hyperparameters.steps:,}", "chosen")
    assert "lora.deltaT" not in rows, "keys of other variants say nothing here"
    assert not any(key.startswith("quantization.") for key in rows)
    for section in ("training", "lora"):
        left_out = {
            k for k in type(getattr(recipe, section)).model_fields if f"{section}.{k}" not in rows
        }
        assert left_out <= {
            "eval_steps", "save_steps", "early_stopping_patience", "modules_to_save", "init_r",
            "target_r", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight",
            "loraplus_lr_ratio", "hang_timeout_minutes", "main_process_ip", "main_process_port",
                "accelerate_config",
        }  # fmt: skip


def test_each_stage_has_a_cost() -> None:
    costs = {cost.stage: cost for cost in stage_costs(*planned(), MEASURED)}
    assert list(costs) == ["prepare", "validate", "recommend", "train", "evaluate", "publish"]
    assert costs["prepare"].seconds == (33.0, 33.0)
    choice = planned()[2]
    assert choice.cost is not None
    assert choice.memory is not None
    assert costs["train"].seconds == (choice.cost.low_seconds, choice.cost.high_seconds)
    assert costs["train"].memory_bytes == choice.memory.high_bytes
    assert costs["publish"].disk_bytes == 4 * 41_943_040
    for cost in costs.values():
        assert 0 < cost.seconds[0] <= cost.seconds[1]
        if cost.usd is not None:
            assert 0 < cost.usd[0] < cost.usd[1]


def test_a_merged_model_takes_more_disk_and_memory_than_its_adapter() -> None:
    adapter = stage_costs(*planned(), MEASURED)[-1]
    merged = stage_costs(*planned(publish={"kind": "merged"}), MEASURED)[-1]
    assert adapter.disk_bytes is not None
    assert merged.disk_bytes == 2 * 8_030_261_248
    assert merged.memory_bytes is not None
    assert adapter.memory_bytes is not None
    assert merged.memory_bytes > adapter.memory_bytes + 4e9


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        (
            {"lora": {"r": 8}, "requirements": {"accuracy": 0.96}},
            "your recipe says lora.r: 8; 64 is advised because Q4 95-98 % asks for it",
        ),
        (
            {"training": {"learning_rate": 1e-5}},
            "learning_rate: 1e-05; 0.0002 is advised because that is usual for LoRA",
        ),
        (
            {"method": "qlora"},
            "your recipe says method: qlora; lora is advised because M1 memory argues for it",
        ),
        (
            {"lora": {"target_modules": ["q_proj", "v_proj"]}},
            "target_modules: q_proj, v_proj; all-linear is advised because on all linear layers",
        ),
    ],
)
def test_the_diff_says_what_is_advised_and_why(sections: dict, line: str) -> None:
    recipe, data, choice = planned(**sections)
    assert line in " ".join(written(recipe, data, choice).split())
    assert line.split(" because ")[1] in plan_text(recipe, data, choice, MEASURED)


def test_a_recipe_that_leaves_everything_open_has_no_diff() -> None:
    recipe, data, choice = planned()
    assert choice.advice == ()
    assert "Nothing that the recipe fixes differs" in written(recipe, data, choice)


def test_the_page_s_markdown_has_the_same_settings() -> None:
    text = plan_text(*planned(lora={"r": 8}), MEASURED)
    assert "| lora.r | 8 | recipe |" in text
    assert "| prepare | 33 |" in text
    assert "None" not in text


def test_seconds_are_those_of_the_stages_that_were_done(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, {})
    for stage in ("prepare", "validate", "recommend"):
        folder.remember(stage, Split, {}, lambda _: splits().train)
    assert set(seconds_of(folder)) == {"prepare", "validate", "recommend"}
    assert all(0 <= seconds < 5 for seconds in seconds_of(folder).values())
