"""Preparation: raw files in; three splits, the rejected rows and a numeric profile out.

Which rows stay, which split they belong to and how long they may be is decided in
`tasks/profile/`, with the tokenizer and the template that training uses. No weight is loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.base_model import BaseModelFiles, read_config, tokenizer_sha256
from tasks.chat_template import find_template
from tasks.contracts import Splits
from tasks.loading import load_tokenizer
from tasks.profile.assembling import Assembler, data_files
from tasks.profile.general import add_general
from tasks.profile.lengths import positions_of
from tasks.readers.general import general_sources
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder, file_sha256
from tasks.stage import stage

__all__ = ["prepare"]


@stage
def prepare(recipe: Recipe, base: BaseModelFiles, folder: RunFolder) -> Splits:
    """Turn the recipe's data files into canonical train, validation and test rows.

    Raises:
        DataError: A file cannot be read, its format is unknown or ambiguous, a split is empty, or
            a row is too long under `on_overlength: raise`, or general rows are too few, or labels
            are not those of one classification head.
        RecipeError: `dataset.max_length` is beyond the model's positions.
        ModelError: The tokenizer does not load.
    """
    dataset = recipe.dataset
    hashes = {str(file.path): file_sha256(file.path) for file in data_files(dataset)}
    # Not of the weights: `finetune validate` prepares without them, and a run goes on from there.
    words = tokenizer_sha256(Path(base.path))
    inputs: list[object] = [
        dataset,
        words,
        recipe.model.trust_remote_code,
        hashes,
        _template(recipe),
        recipe.task_type,
    ]
    general = [file for files in general_sources(recipe).values() for file in files]
    if general:
        inputs += [recipe.replay, recipe.ewc, recipe.training.seed]
        inputs += [file_sha256(file.path) for file in general]

    def work(stage_folder: Path) -> Splits:
        tokenizer = load_tokenizer(
            base.path, dataset.chat_template, trust_remote_code=recipe.model.trust_remote_code
        )
        # Rows are counted here, never run: no warning that one is longer than the model.
        tokenizer.model_max_length = sys.maxsize
        positions = positions_of(read_config(Path(base.path)))
        assembler = Assembler(
            dataset,
            tokenizer,
            Path(base.path),
            positions=positions,
            progress=folder.progress,
            remembered=folder.remembered([base.sha256, base.path, folder.environment]),
            labelled=recipe.task_type == "SEQ_CLS",
        )
        splits = assembler.assemble(stage_folder)
        return add_general(recipe, splits, tokenizer, stage_folder)

    return folder.remember("prepare", Splits, inputs, work)


def _template(recipe: Recipe) -> str:
    """Return the hash of the recipe's own template, which may change while its name stays."""
    path = (
        None
        if recipe.dataset.chat_template == "auto"
        else find_template(recipe.dataset.chat_template)
    )
    return file_sha256(path) if path and path.is_file() else ""
