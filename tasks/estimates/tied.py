"""Tied embeddings: what an adapter cannot do where the output head is the input embedding.

LoRA on the embedding of a tied model trains, and merges into another model (logits 2.0 off, 5.6 with
`ensure_weight_tying`, PEFT 0.21); TRL refuses LoRA on the head. `modules_to_save` with the embedding
trains the input side only, and the merged model is no longer tied, unless PEFT is told to keep it so.
Refused before anything is loaded.
"""

from __future__ import annotations

import re

from tasks.errors import RecipeError
from tasks.estimates.architecture import Architecture
from tasks.recipe import LoraSection

__all__ = ["refuse_tied"]

#: Whole paths of embeddings and heads in the families of the catalogue.
TIED = ("model.embed_tokens", "lm_head", "transformer.wte", "model.decoder.embed_tokens")
ENDINGS = {path.rpartition(".")[2] for path in TIED}


def refuse_tied(architecture: Architecture, lora: LoraSection) -> None:
    """Refuse adapters that cannot be merged or saved with a tied embedding.

    Raises:
        RecipeError: A target or a saved module is the tied embedding.
    """
    if not architecture.tied:
        return
    targets = lora.target_modules
    if isinstance(targets, str):
        hit = [p for p in TIED if targets != "all-linear" and re.fullmatch(targets, p)]
    else:
        hit = [name for name in targets if name in ENDINGS]
    if hit:
        raise RecipeError(
            f"lora.target_modules: {', '.join(hit)}: {architecture.name} ties its head to its "
            "embedding, and a LoRA there merges into another model. Take all-linear, or train the "
            "embedding whole: lora.modules_to_save: [embed_tokens] with "
            "lora.ensure_weight_tying: true."
        )
    saved = [name for name in lora.modules_to_save or () if name in ENDINGS]
    if saved and not lora.handed_on().get("ensure_weight_tying"):
        raise RecipeError(
            f"lora.modules_to_save: {', '.join(saved)}: {architecture.name} ties its head to its "
            "embedding; only one of the two would be trained. Set lora.ensure_weight_tying: true."
        )
