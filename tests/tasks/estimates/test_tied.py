"""Tied embeddings: adapters that would merge into another model are refused by name."""

from __future__ import annotations

import pytest

from tasks.errors import RecipeError
from tasks.estimates.architecture import architecture, catalogue
from tasks.estimates.tied import refuse_tied
from tasks.recipe import LoraSection

TIED = next(architecture(name) for name in catalogue() if architecture(name).tied)
UNTIED = next(architecture(name) for name in catalogue() if not architecture(name).tied)


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({"target_modules": ("q_proj", "embed_tokens")}, "lora.target_modules: embed_tokens"),
        ({"target_modules": ("lm_head",)}, "lora.target_modules: lm_head"),
        ({"target_modules": ".*"}, "merges into another model"),
        ({"modules_to_save": ("embed_tokens",)}, "Set lora.ensure_weight_tying: true"),
        ({"modules_to_save": ("lm_head",), "ensure_weight_tying": False}, "lora.modules_to_save"),
    ],
)
def test_an_adapter_on_a_tied_embedding_is_refused(lora: dict, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        refuse_tied(TIED, LoraSection.model_validate(lora))
    refuse_tied(UNTIED, LoraSection.model_validate(lora))


@pytest.mark.parametrize(
    "lora",
    [
        {},
        {"target_modules": ("q_proj", "v_proj")},
        {"target_modules": r".*\.self_attn\..*"},
        {"modules_to_save": ("embed_tokens",), "ensure_weight_tying": True},
    ],
)
def test_what_works_on_a_tied_model_is_left_alone(lora: dict) -> None:
    refuse_tied(TIED, LoraSection.model_validate(lora))
