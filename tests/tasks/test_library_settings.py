"""Settings handed on to TRL, PEFT and bitsandbytes: known, typed, placed, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import RecipeError
from tasks.library_settings import ASSETS, LIBRARIES, checked, handed_on, refused_setting
from tasks.recipe import LoraSection, QuantizationSection, Recipe, TrainingSection
from tasks.recipe_file import as_yaml, load_recipe, valid_keys

SECTIONS = {"training": TrainingSection, "lora": LoraSection, "quantization": QuantizationSection}
KEYS = valid_keys()


def recipe(tmp_path: Path, **sections: dict[str, Any]) -> Path:
    path = tmp_path / "recipe.yaml"
    whole = {"name": "x", "model": {"model_name_or_path": "m"}, "dataset": {"path": "d"}} | sections
    path.write_text(yaml.safe_dump(whole))
    return path


def refusal(tmp_path: Path, **sections: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as told:
        load_recipe(recipe(tmp_path, **sections))
    return str(told.value)


@pytest.mark.slow
def test_the_committed_list_is_that_of_the_installed_classes() -> None:
    from tests.library_settings import PATH, installed_settings

    assert yaml.safe_load(PATH.read_text()) == installed_settings(), "run its module"


@pytest.mark.parametrize("section", SECTIONS)
def test_a_setting_is_ours_or_handed_on_or_refused_and_nothing_else_is(section: str) -> None:
    table = yaml.safe_load((ASSETS / "refused_settings.yaml").read_text())
    listed = set(yaml.safe_load((ASSETS / "library_settings.yaml").read_text())[section])
    ours, refused = set(SECTIONS[section].model_fields), set(table[section])
    assert refused <= listed, "a refusal of a setting that the library does not have"
    assert not refused & ours
    assert set(handed_on(section)) == listed - refused
    assert set(table["only"][section]) <= set(handed_on(section))
    for name, sentence in table[section].items():
        assert sentence.startswith(("is ", "has ", "would ", "needs ", "decides ", "does ", "trains ",
                                    "changes ", "fails ")), name  # fmt: skip
        assert sentence.endswith("."), name
        for word in sentence.replace(":", " ").split("`"):
            if word.startswith(("training.", "lora.", "model.", "dataset.")):
                assert word.split()[0] in KEYS, f"{name} names {word}"


def test_settings_keep_their_names_and_survive_the_resolved_recipe(tmp_path: Path) -> None:
    handed: dict[str, dict[str, Any]] = {
        "training": {"adam_beta2": 0.95, "lr_scheduler_kwargs": {"num_cycles": 2}},
        "lora": {"rank_pattern": {"q_proj": 4}, "bias": "none", "exclude_modules": ["v_proj"]},
        "quantization": {"bnb_4bit_quant_storage": "uint8"},
    }
    loaded = load_recipe(recipe(tmp_path, **handed)).recipe
    assert loaded.training.handed_on() == handed["training"]
    assert loaded.lora.handed_on() == handed["lora"]
    assert loaded.quantization.handed_on() == handed["quantization"]
    (tmp_path / "again.yaml").write_text(as_yaml(loaded))
    assert load_recipe(tmp_path / "again.yaml").recipe == loaded
    assert Recipe.model_validate_json(loaded.model_dump_json()) == loaded
    assert loaded != load_recipe(recipe(tmp_path)).recipe
    more = load_recipe(recipe(tmp_path), ("training.adam_beta1=0.8",)).recipe
    assert more.training.handed_on() == {"adam_beta1": 0.8}


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("training", "adam_betta2", 0.9, "Did you mean `adam_beta2`?"),
        ("training", "learning_rat", 0.9, "Did you mean `learning_rate`?"),
        ("training", "adam_beta2", "much", "should be a valid number, as in trl.SFTConfig"),
        ("training", "dataloader_num_workers", 1.5, "should be a valid integer"),
        ("training", "torch_compile", "perhaps", "should be a valid boolean"),
        ("training", "tf32", "yes", "should be a valid boolean"),
        ("training", "adam_beta2", None, "is empty: leave it out"),
        ("training", "bf16", True, "is `model.dtype`"),
        ("training", "max_length", 512, "is `dataset.max_length`"),
        ("training", "save_only_model", True, "would resume without an error, with other weights"),
        ("training", "packing_strategy", "wrapped", "lets rows see each other"),
        ("training", "save_strategy", "no", "not ours to switch"),
        ("training", "hub_token", "hf_x", "Set HF_TOKEN in the environment"),
        ("training", "fsdp", "full_shard", "plain DDP"),
        ("training", "train_sampling_strategy", "longest", "random, sequential, group_by_length"),
        ("training", "zzz", 1, "and what else trl.SFTConfig takes"),
        ("lora", "use_rslora", True, "is `lora.variant: rslora`"),
        ("lora", "init_lora_weights", "pissa", "is not among what works here: true, gaussian"),
        ("lora", "rank_patern", {}, "Did you mean `rank_pattern`?"),
        ("quantization", "load_in_8bit", True, "use `method: qlora`"),
    ],
)
def test_what_is_wrong_is_told_with_line_key_and_mend(
    tmp_path: Path, section: str, key: str, value: object, words: str
) -> None:
    message = refusal(tmp_path, **{section: {key: value}})
    assert words in message
    assert f"{section}.{key}" in message
    assert "line " in message
    assert "1 problem" in message


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    path.write_text(
        path.read_text() + "training: {adam_epsilon: 1e-8, dataloader_num_workers: 2}\n"
    )
    handed = load_recipe(path).recipe.training.handed_on()
    assert handed == {"adam_epsilon": 1e-8, "dataloader_num_workers": 2}
    assert isinstance(handed["adam_epsilon"], float)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        training={"adam_beta2": "much", "bf16": True, "num_train_epochs": -1, "eval_strategy": "x"},
        lora={"use_dora": True, "r": 0},
    )
    assert "6 problems" in message
    assert "eval_strategy = 'x'  is not one of the words. Allowed: steps, epoch, no." in message


@pytest.mark.parametrize("section", LIBRARIES)
def test_every_type_is_understood(section: str) -> None:
    right = {"bool": True, "int": 1, "float": 0.5, "str": "x", "list": ["x"], "dict": {"x": 1}}
    only = yaml.safe_load((ASSETS / "refused_settings.yaml").read_text())["only"][section]
    for name, types in handed_on(section).items():
        for word in types.split(" | "):
            value = only[name][0] if name in only else right[word]
            assert checked(section, name, value) == value, name
        assert refused_setting(section, name) is None


@pytest.mark.slow
def test_a_setting_reaches_the_library_s_class(tmp_path: Path) -> None:
    from peft import LoraConfig

    from tasks.loading import quantization_config
    from tasks.methods import VARIANTS
    from tasks.trainer.build import _arguments
    from tests.records import make_recommendation
    from tests.tasks.trainer.forked import spec_of

    loaded = load_recipe(
        recipe(
            tmp_path,
            training={"adam_beta2": 0.95, "dataloader_pin_memory": False, "neftune_noise_alpha": 5},
            lora={"rank_pattern": {"q_proj": 4}, "exclude_modules": ["v_proj"]},
            quantization={"llm_int8_skip_modules": ["lm_head"]},
        )
    ).recipe
    chosen = make_recommendation("lora")
    arguments = _arguments(spec_of(tmp_path, loaded, chosen))
    assert arguments.adam_beta2 == 0.95
    assert arguments.neftune_noise_alpha == 5
    assert chosen.hyperparameters is not None
    for name, variant in VARIANTS.items():
        if name == "adalora":
            continue
        config = variant.peft_config(chosen.hyperparameters, loaded.lora)
        assert isinstance(config, LoraConfig)
        assert config.rank_pattern == {"q_proj": 4}
        assert set(config.exclude_modules) == {"v_proj"}
    assert quantization_config(loaded.quantization, "float32").llm_int8_skip_modules == ["lm_head"]
