"""Write `recipes/recipe.schema.json`, from which editors complete and check recipes."""

from __future__ import annotations

import json

from tasks.processes import CHECKOUT
from tasks.recipe import Recipe
from tasks.run_folder import write_atomically

__all__ = ["PATH", "schema_text"]

PATH = CHECKOUT / "recipes" / "recipe.schema.json"


def schema_text() -> str:
    """Return the JSON schema of the recipe language."""
    return json.dumps(Recipe.model_json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    write_atomically(PATH, schema_text())
