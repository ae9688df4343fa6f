"""Recipes: every one loads, is planned as it asks, says when to choose it, and is in the list."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.recommend_facts import facts_from_flags
from flows.recommend_flags import Flags
from tasks.decision import decide
from tasks.methods import METHODS, VARIANTS
from tasks.recipe_file import load_recipe, valid_keys

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
#: Every recipe but the first one is of one method, on the quickstart's data.
METHOD_RECIPES = [path for path in RECIPES if path.stem != "quickstart"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_planned_as_it_asks(path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.notes == (), "a shipped recipe uses our own words"
    recipe = loaded.recipe
    choice = decide(facts_from_flags(Flags(recipe=str(path), gpu="cpu")).facts)
    assert choice.method in METHODS
    if recipe.method != "auto":
        assert choice.method == recipe.method
    plan = choice.hyperparameters
    assert plan is not None
    assert plan.steps > 0
    if recipe.lora.variant is not None:
        assert plan.variant == recipe.lora.variant
    assert (plan.trainable_parameters < plan.parameters) is (
        recipe.freeze is not None or recipe.method != "full"
    )
    assert choice.memory is not None
    assert choice.memory.high_bytes < 8 * 2**30, "a laptop has that"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_writes_known_keys_and_only_what_differs(path: Path) -> None:
    def keys(values: dict, prefix: str = "") -> list[str]:
        found = []
        for key, value in values.items():
            inner = isinstance(value, dict)
            found += keys(value, f"{prefix}{key}.") if inner else [f"{prefix}{key}"]
        return found

    written = set(keys(yaml.safe_load(path.read_text())))
    own = {key for key in written if key.startswith("dataset.columns.")}
    assert written - own <= set(valid_keys())


@pytest.mark.parametrize("path", METHOD_RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_when_to_choose_it_and_is_listed(path: Path) -> None:
    head = path.read_text().partition("name:")[0].replace("\n# ", " ")
    assert "hoose it" in head
    assert f"| [{path.name}]({path.name}) |" in (FOLDER / "README.md").read_text()


def test_every_method_and_variant_has_a_recipe() -> None:
    recipes = [load_recipe(path).recipe for path in METHOD_RECIPES]
    assert {recipe.method for recipe in recipes} == set(METHODS)
    variants = {recipe.lora.variant for recipe in recipes} - {None}
    assert variants == set(VARIANTS) - {"lora"}
    for section in ("freeze", "ewc", "replay"):
        assert any(getattr(recipe, section) is not None for recipe in recipes), section
