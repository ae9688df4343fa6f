"""General rows: which files hold what a model must not forget, for `replay` and `ewc`.

Reading and drawing them is in `tasks/profile/general.py`.
"""

from __future__ import annotations

from tasks.errors import DataError
from tasks.processes import CHECKOUT
from tasks.readers.sources import SourceFile, find_sources
from tasks.recipe import DatasetSection, Recipe

__all__ = ["general_sections", "general_sources"]

SHIPPED = CHECKOUT / "tasks" / "assets" / "general" / "rows.jsonl"


def general_sections(recipe: Recipe) -> dict[str, DatasetSection]:
    """Return how general rows are read, by the key that names them: as the data set's own are."""
    paths: dict[str, str | None] = {}
    if recipe.replay is not None:
        paths["replay.path"] = recipe.replay.path
    if recipe.ewc is not None:
        paths["ewc.reference"] = recipe.ewc.reference
    own = recipe.dataset
    return {
        key: DatasetSection(
            path=path or str(SHIPPED),
            chat_template=own.chat_template,
            completion_only_loss=own.completion_only_loss,
            assistant_only_loss=own.assistant_only_loss,
        )
        for key, path in paths.items()
    }


def general_sources(recipe: Recipe) -> dict[str, list[SourceFile]]:
    """Return the files of general rows that a recipe names, by the key that names them.

    Raises:
        DataError: One of them is missing or of an unknown kind.
    """
    found = {}
    for key, section in general_sections(recipe).items():
        try:
            found[key] = [file for file in find_sources(section) if file.split is None]
        except DataError as error:
            raise DataError(str(error).replace("dataset.path", key)) from None
    return found
