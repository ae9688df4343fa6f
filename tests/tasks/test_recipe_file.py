"""Recipes: every problem at once, with its line and the nearest key; overrides and aliases told."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import RecipeError
from tasks.recipe import PLANNED_SECTIONS, Recipe
from tasks.recipe_file import as_yaml, load_recipe, valid_keys

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "recipes").rglob("*.yaml"))
MINIMAL = {
    "name": "tiny",
    "model": {"model_name_or_path": "somewhere"},
    "dataset": {"path": "data.jsonl"},
}


def write(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(folder, text), overrides)
    return str(caught.value)


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "name: x\nmodel:\n  model_name_or_path: y\ndataset:\n  path: d\n"
        "training:\n  learning_rat: 2e-4\n  num_train_epochs: 0\nmethod: lorra\n",
    )
    assert "has 3 problems" in told
    assert (
        "line 7  training.learning_rat = '2e-4'  unknown key. Did you mean `learning_rate`?" in told
    )
    assert "line 8  training.num_train_epochs = 0" in told
    assert "line 9  method = 'lorra'" in told
    assert "Did you mean `lora`?" in told


def misspellings() -> list[tuple[Path, str]]:
    """Return every key that stands in a shipped recipe, dotted."""

    def keys(values: dict, prefix: str = "") -> list[str]:
        found = []
        for key, value in values.items():
            found.append(prefix + key)
            if isinstance(value, dict) and f"{prefix}{key}" != "dataset.columns":
                found += keys(value, f"{prefix}{key}.")
        return found

    return [(p, key) for p in SHIPPED for key in keys(yaml.safe_load(p.read_text()))]


@pytest.mark.parametrize(
    ("path", "key"), misspellings(), ids=lambda value: str(value).split("/")[-1]
)
def test_every_key_of_the_shipped_recipes_misspelt_gets_its_suggestion(
    path: Path, key: str, tmp_path: Path
) -> None:
    values = yaml.safe_load(path.read_text())
    *sections, last = key.split(".")
    place = values
    for section in sections:
        place = place[section]
    for wrong in {last[:-1] + "x", last + "s", last[1:]} - set(place):
        if len(wrong) < 2 or ".".join([*sections, wrong]) in valid_keys():
            continue
        spoilt = {(wrong if name == last else name): value for name, value in place.items()}
        backup = dict(place)
        place.clear()
        place.update(spoilt)
        told = problems(tmp_path, yaml.safe_dump(values, sort_keys=False))
        place.clear()
        place.update(backup)
        if len(last) > 2:
            assert f"{'.'.join([*sections, wrong])}" in told
            assert f"`{last}`" in told, told


@pytest.mark.parametrize("section", PLANNED_SECTIONS)
def test_a_section_that_no_stage_reads_is_refused(section: str, tmp_path: Path) -> None:
    told = problems(tmp_path, yaml.safe_dump({**MINIMAL, section: {"a": 1}}))
    assert "nothing would read it" in told


def test_an_alias_is_rewritten_and_reported(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, yaml.safe_dump({**MINIMAL, "lora": {"lora_rank": 8}})))
    assert loaded.recipe.lora.r == 8
    assert loaded.notes == ("lora.lora_rank is read as lora.r",)


def test_an_alias_beside_its_key_is_an_error(tmp_path: Path) -> None:
    assert "keep one" in problems(
        tmp_path, yaml.safe_dump({**MINIMAL, "lora": {"lora_rank": 8, "r": 4}})
    )


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    text = yaml.safe_dump(MINIMAL) + "method: full\nmethod: lora\n"
    assert "stands twice" in problems(tmp_path, text)


def test_an_override_wins_and_is_told_with_its_old_value(tmp_path: Path) -> None:
    path = write(tmp_path, yaml.safe_dump({**MINIMAL, "lora": {"r": 8}}))
    loaded = load_recipe(path, ["lora.r=32", "training.learning_rate=2e-4"])
    assert loaded.recipe.lora.r == 32
    assert loaded.recipe.training.learning_rate == 2e-4
    assert loaded.notes[0] == "lora.r: 8 -> 32"


def test_a_wrong_override_is_told_as_an_override(tmp_path: Path) -> None:
    told = problems(tmp_path, yaml.safe_dump(MINIMAL), "lora.rnk=3")
    assert "--set  lora.rnk = 3" in told


def test_an_accuracy_in_percent_is_told_to_be_a_fraction(tmp_path: Path) -> None:
    told = problems(tmp_path, yaml.safe_dump({**MINIMAL, "requirements": {"accuracy": 95}}))
    assert "write 0.95" in told


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "A", "x" * 65, "a..b"])
def test_a_name_that_is_no_safe_folder_is_refused(name: str, tmp_path: Path) -> None:
    assert "becomes a folder" in problems(tmp_path, yaml.safe_dump({**MINIMAL, "name": name}))


def test_a_missing_recipe_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Did you mean recipes/quickstart\.yaml"):
        load_recipe("recipes/quikstart.yml")


@pytest.mark.parametrize(
    "text", ["a: [1", "- 1\n- 2\n", "\tname: x", "a: !!python/object:os.system x"]
)
def test_what_is_no_recipe_is_told_with_its_file(text: str, tmp_path: Path) -> None:
    assert "r.yaml" in problems(tmp_path, text)


@given(
    r=st.integers(1, 1024),
    rate=st.floats(1e-8, 1.0),
    name=st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=30),
)
def test_a_dumped_recipe_loads_as_an_equal_recipe(
    r: int, rate: float, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recipe = Recipe.model_validate(
        {**MINIMAL, "name": name, "lora": {"r": r}, "training": {"learning_rate": rate}}
    )
    folder = tmp_path_factory.mktemp("recipes")
    assert load_recipe(write(folder, as_yaml(recipe))).recipe == recipe


def test_overrides_of_different_keys_do_not_depend_on_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, yaml.safe_dump(MINIMAL))
    changes = ["lora.r=4", "training.seed=7", "method=lora"]
    assert load_recipe(path, changes).recipe == load_recipe(path, changes[::-1]).recipe


def test_the_sources_of_a_mixture_are_told_apart(tmp_path: Path) -> None:
    head = "name: x\nmodel: {model_name_or_path: y}\ndataset:\n"
    told = problems(
        tmp_path, f"{head}  path:\n  - {{path: a, weigth: 2}}\n  - {{path: b, format: alpca}}\n"
    )
    assert "has 2 problems" in told
    assert "dataset.path.0.weigth = 2  unknown key. Did you mean `weight`?" in told
    assert "dataset.path.1.format = 'alpca'" in told
    assert "dataset.path.0.path  is missing" in problems(tmp_path, f"{head}  path: [weight: 3]\n")
    assert "names no source" in problems(tmp_path, f"{head}  path: []\n")
    mixed = load_recipe(write(tmp_path, f"{head}  path: [a, {{path: b, weight: 2}}]\n")).recipe
    assert [each.path for each in mixed.dataset.sections()] == ["a", "b"]
    assert load_recipe(write(tmp_path, as_yaml(mixed))).recipe == mixed


@pytest.mark.parametrize(
    ("theirs", "ours", "note"),
    [
        (
            "type: chat_template",
            {"format": "messages"},
            "= chat_template is read as dataset.format",
        ),
        ("formatting: sharegpt", {"format": "sharegpt"}, "formatting is read as dataset.format"),
        ("train_on_inputs: false", {"completion_only_loss": True}, "= false is read as"),
        ("train_on_inputs: true", {"completion_only_loss": False}, "= true is read as"),
        ("truncation_strategy: delete", {"on_overlength": "drop"}, "= delete is read as"),
        ("field_messages: turns", {"columns": {"messages": "turns"}}, "dataset.columns.messages"),
        ("subset: en", {"name": "en"}, "dataset.subset is read as dataset.name"),
    ],
)
def test_words_and_values_of_other_tools(
    tmp_path: Path, theirs: str, ours: dict[str, object], note: str
) -> None:
    text = f"name: x\nmodel: {{model_name_or_path: y}}\ndataset:\n  path: d\n  {theirs}\n"
    loaded = load_recipe(write(tmp_path, text))
    dataset = loaded.recipe.dataset.model_dump()
    assert {key: dataset[key] for key in ours} == ours
    assert note in "\n".join(loaded.notes)


def test_axolotl_s_and_trl_s_lists_of_sources_are_read(tmp_path: Path) -> None:
    text = (
        "name: x\nmodel: {base_model: y}\ndatasets:\n"
        "  - {path: a, type: alpaca, field_output: answer}\n  - {path: b, fraction: 0.3, split: s}\n"
    )
    loaded = load_recipe(write(tmp_path, text))
    first, second = loaded.recipe.dataset.sections()
    assert (first.path, first.format, first.columns) == ("a", "alpaca", {"output": "answer"})
    assert (second.path, second.split) == ("b", "s")
    assert "datasets is read as dataset.path" in loaded.notes
    assert "dataset.path.1.fraction is read as dataset.path.1.weight" in loaded.notes
    assert "weight" in problems(tmp_path, text.replace("fraction", "weight: 1, fraction"))
    told = problems(tmp_path, text.replace("type: alpaca", "type: input_output"))
    assert "dataset.path.0.format = 'input_output'  is not one of the words" in told
