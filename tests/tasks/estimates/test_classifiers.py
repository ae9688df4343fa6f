"""Classifiers in the estimates: their parameters are the real classes', their logits are small."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.errors import ModelError
from tasks.estimates.architecture import Architecture, architecture, from_config
from tasks.estimates.memory import estimate
from tasks.estimates.parameters import trainable_parameters
from tasks.estimates.plan import learning_rate
from tasks.estimates.setups import Setup
from tasks.recipe import LoraSection

LABELS = 5
FAMILIES = (
    *("llama3.2-1b", "mistral-7b", "qwen2-0.5b", "qwen3-0.6b", "gemma3-1b", "phi-2", "phi3-mini"),
    *("gpt2", "opt-125m", "pythia-70m", "falcon-7b", "bloom-560m", "olmo2-1b", "smollm3-3b"),
    *("gemma-2b", "gemma2-2b", "glm4-9b", "mixtral-8x7b"),
)
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 384,
    "tie_word_embeddings": True,
}  # fmt: skip


def real_class(model: Architecture) -> Any:
    """Return transformers' class for a model, built without data."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    values = json.loads(model.config)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    config.num_labels = LABELS
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_those_of_the_real_class(name: str) -> None:
    model = architecture(name)
    assert model.with_labels(LABELS).parameters == real_class(model).num_parameters()


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lora", "dora", "rslora", "adalora"])
def test_trained_parameters_are_what_peft_counts_the_head_included(variant: str) -> None:
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    model = from_config(LLAMA, "tiny")
    shared: dict[str, Any] = {"target_modules": "all-linear", "task_type": "SEQ_CLS"}
    config: Any = (
        AdaLoraConfig(init_r=12, target_r=8, total_step=10, **shared)
        if variant == "adalora"
        else LoraConfig(r=8, use_dora=variant == "dora", use_rslora=variant == "rslora", **shared)
    )
    made = get_peft_model(real_class(model), config).named_parameters()
    # AdaLoRA keeps the count of a layer's ranks as a parameter that no optimizer moves.
    real = sum(p.numel() for name, p in made if p.requires_grad and "ranknum" not in name)
    lora = LoraSection.model_validate({"variant": variant})
    ours = trainable_parameters(model.with_labels(LABELS), "lora", 8, lora)
    assert ours == real
    words = trainable_parameters(model, "lora", 8, lora)
    assert ours - words == LABELS * model.hidden


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
@pytest.mark.parametrize("on_cpu", [True, False])
def test_a_head_of_labels_takes_next_to_nothing_where_words_take_gigabytes(
    method: Any, on_cpu: bool
) -> None:
    words = architecture("llama3-8b")
    labels = words.with_labels(LABELS)
    setups = [
        Setup(
            architecture=each,
            method=method,
            r=None if method == "full" else 16,
            batch=8,
            length=512,
            fused_loss=False,
            on_cpu=on_cpu,
        )
        for each in (words, labels)
    ]
    of_words, of_labels = (estimate(setup, None) for setup in setups)
    assert of_labels.weights_bytes < of_words.weights_bytes
    assert of_labels.logits_bytes < 0.1 * of_words.logits_bytes or of_words.logits_bytes == 0
    assert of_labels.high_bytes < of_words.high_bytes


def test_a_family_without_such_a_class_is_refused() -> None:
    with pytest.raises(ModelError, match="no classification head for granite"):
        architecture("granite3.1-2b").with_labels(2)


def test_a_classifier_starts_at_a_third_of_the_rate() -> None:
    assert learning_rate("lora", 2_000_000, classifies=True) == 2e-3
    assert learning_rate("full", 10**9, classifies=True) == 6.7e-6


@pytest.mark.slow
def test_granite_and_only_it_of_those_that_train_has_no_class() -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KNOWN,
    )

    from tasks.estimates.architecture import read_asset

    for kind, family in read_asset("models.yaml")["families"].items():
        assert family.get("classifies", True) == (kind in KNOWN), kind
