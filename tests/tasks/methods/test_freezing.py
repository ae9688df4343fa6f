"""Freezing: the estimate counts what the model really freezes, and a wrong section is told early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.runs import open_run
from tasks.errors import RecipeError
from tasks.estimates.architecture import from_config
from tasks.estimates.cost import flops_per_token
from tasks.estimates.frozen import frozen_by
from tasks.estimates.memory import estimate
from tasks.estimates.setups import Setup
from tasks.methods.freezing import frozen_names, layer_of
from tasks.recipe import FreezeSection
from tasks.recipe_file import load_recipe

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 5,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "llama": LLAMA | {"tie_word_embeddings": False},
    "tied": LLAMA | {"tie_word_embeddings": True},
    "qwen3": LLAMA | {"model_type": "qwen3", "head_dim": 8, "tie_word_embeddings": True},
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 32,
        "n_layer": 5,
        "n_head": 4,
        "n_positions": 40,
        "vocab_size": 96,
    },
    "opt": {
        "model_type": "opt",
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "vocab_size": 96,
        "max_position_embeddings": 40,
        "word_embed_proj_dim": 32,
    },
    "bloom": {
        "model_type": "bloom",
        "hidden_size": 32,
        "n_layer": 5,
        "n_head": 4,
        "vocab_size": 96,
    },
    "gpt_neox": LLAMA | {"model_type": "gpt_neox", "tie_word_embeddings": False},
}
SECTIONS: dict[str, dict[str, Any]] = {
    "layers": {"layers": 3},
    "layers and embeddings": {"layers": 2, "embeddings": True},
    "embeddings": {"embeddings": True},
    "the last ones": {"trainable_layers": 2},
    "a pattern": {"patterns": ["bias|norm|ln_"]},
    "only a pattern": {"unfrozen_parameters": [r"\.[34]\."]},
    "layers and a pattern": {"layers": 1, "patterns": [r"\.4\."]},
}


def built(config: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = dict(config)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(
            AutoConfig.for_model(values.pop("model_type"), **values)
        )


@pytest.mark.slow
@pytest.mark.parametrize("said", SECTIONS)
@pytest.mark.parametrize("name", MODELS)
def test_the_estimate_counts_what_the_model_freezes(name: str, said: str) -> None:
    """Parameters, and how deep the backward pass goes, against the real class and its graph."""
    section = FreezeSection.model_validate(SECTIONS[said])
    if name == "gpt_neox" and "ln_" in str(section.patterns):
        section = FreezeSection(patterns=("layernorm",))
    model = built(MODELS[name])
    names = frozen_names(model, section)
    found = frozen_by(section, from_config(MODELS[name], name))
    sizes = {n: p.numel() for n, p in model.named_parameters()}
    assert found.parameters == sum(sizes[n] for n in names)
    products = {
        f"{n}.weight"
        for n, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D")
    } | (
        {"model.embed_tokens.weight", "transformer.wte.weight"}
        if model.config.tie_word_embeddings
        else set()
    )
    if "decoder" not in str(products) and name != "bloom":
        assert found.products == sum(sizes[n] for n in names & products)
    first_trained = [n for n in sizes if n not in names]
    layers = [at for n in first_trained if (at := layer_of(n)) is not None]
    assert found.unreached <= min(layers, default=5)
    if section.trainable_layers:
        assert found.unreached == 3
    if section.layers and section.embeddings:
        assert found.unreached == (0 if name == "bloom" else 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("name", ["llama", "tied"])
@pytest.mark.parametrize("said", SECTIONS)
def test_no_gradient_enters_what_is_called_unreached(name: str, said: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tasks.methods.freezing import freeze

    values = dict(MODELS[name])
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(values.pop("model_type"), **values)
    )
    section = FreezeSection.model_validate(SECTIONS[said])
    freeze(model, section)
    model.train()
    touched = []
    for at, layer in enumerate(model.model.layers):
        layer.register_full_backward_hook(lambda *_, at=at: touched.append(at))
    ids = torch.arange(8)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    found = frozen_by(section, from_config(MODELS[name], name))
    assert min(touched, default=5) == found.unreached


def test_tied_names_are_one_parameter() -> None:
    section = FreezeSection(patterns=("lm_head",))
    assert frozen_names(built(MODELS["tied"]), section) == {"model.embed_tokens.weight"}
    assert frozen_names(built(MODELS["llama"]), section) == {"lm_head.weight"}
    kept = FreezeSection(unfrozen_parameters=("lm_head",))
    assert "model.embed_tokens.weight" not in frozen_names(built(MODELS["tied"]), kept)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"patterns": ["mlp.gate_prj"]}, "Did you mean 'gate_proj'"),
        ({"unfrozen_parameters": ["q_prj"]}, "Did you mean 'q_proj'"),
        ({"layers": 6}, "has 5 decoder layers. Write 5 or fewer"),
        ({"trainable_layers": 6}, "freeze.trainable_layers = 6"),
        ({"patterns": ["."]}, "nothing is left to train"),
    ],
)
def test_what_the_model_does_not_have_is_told(section: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as told:
        frozen_by(FreezeSection.model_validate(section), from_config(LLAMA, "llama"))
    assert words in str(told.value)


def a_recipe(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    head = "name: r\nmodel: {model_name_or_path: tasks/assets/base}\n"
    path.write_text(f"{head}dataset: {{path: tasks/assets/quickstart/train.jsonl}}\n{text}")
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method: lora\nfreeze: {layers: 1}", "freeze: needs method: full, not lora"),
        ("freeze: {layers: 1}", "needs method: full, not auto"),
        ("method: full\nfreeze: {}", "freezes nothing"),
        ("method: full\nfreeze: {layers: 0}", "greater than or equal to 1"),
        ("method: full\nfreeze: {patterns: ['*.mlp']}", "no regular expression"),
        ("method: full\nfreeze: {layers: 1, trainable_layers: 2}", "use one kind"),
        ("method: full\nfreeze: {layer: 1}", "Did you mean `layers`"),
    ],
)
def test_a_section_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(RecipeError) as told:
        load_recipe(a_recipe(tmp_path, text))
    assert words in str(told.value)


def test_too_many_layers_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = a_recipe(tmp_path, "method: full\nfreeze: {layers: 40}")
    with pytest.raises(RecipeError, match=r"freeze.layers = 40: tasks/assets/base has 4"):
        open_run(path)


def test_words_of_other_tools_are_read_and_told(tmp_path: Path) -> None:
    text = "method: full\nunfrozen_parameters: ['^model.layers.3']\n"
    loaded = load_recipe(a_recipe(tmp_path, text))
    assert loaded.recipe.freeze == FreezeSection(unfrozen_parameters=("^model.layers.3",))
    assert any("unfrozen_parameters is read as freeze" in note for note in loaded.notes)
    loaded = load_recipe(a_recipe(tmp_path, "method: full\nfreeze_trainable_layers: 2\n"))
    assert loaded.recipe.freeze == FreezeSection(trainable_layers=2)


def test_frozen_weights_cost_neither_gradients_nor_moments_and_less_time() -> None:
    model = from_config(LLAMA, "llama")
    whole = Setup(architecture=model, method="full", length=64, checkpointing=False)
    section = FreezeSection(layers=3, embeddings=True)
    part = whole.model_copy(update={"freeze": section})
    before, after = estimate(whole, None), estimate(part, None)
    left = model.parameters - frozen_by(section, model).parameters
    assert after.weights_bytes == before.weights_bytes == 4 * model.parameters
    assert after.optimizer_bytes == 8 * left
    assert before.optimizer_bytes == 8 * model.parameters
    assert after.high_bytes < before.high_bytes
    parts = [frozen_by(s, model) for s in (None, FreezeSection(layers=3), section)]
    costs = [
        flops_per_token(model, "full", 0, 64, checkpointing=False, frozen=each) for each in parts
    ]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 3


def test_a_run_s_section_changes_what_is_recommended(tmp_path: Path) -> None:
    config = json.loads(Path("tasks/assets/base/config.json").read_text())
    model = from_config(config, "base")
    frozen = frozen_by(FreezeSection(layers=2, embeddings=True), model)
    assert model.parameters == 2_164_416
    assert frozen.parameters == 2_048 * 192 + 2 * (4 * 192 * 192 + 3 * 192 * 512 + 2 * 192)
