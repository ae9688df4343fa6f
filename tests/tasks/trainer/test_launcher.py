"""Launching: what several processes are started with, here and on other machines, and what is not."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from tasks.errors import RecipeError
from tasks.recipe import Recipe
from tasks.sections.sharding import SHARDED, Profile, why_not_sharded
from tasks.trainer.join import join, lines_to_join
from tasks.trainer.launcher import PROFILES, launcher
from tasks.trainer.spec import TrainSpec
from tests.records import make_recipe, make_recommendation
from tests.tasks.trainer.forked import spec_of
from tests.tasks.trainer.ranks import environment


def a_spec(
    folder: Path, profile: str = "multi_gpu", *, on_gpu: bool = True, **training: Any
) -> Any:
    told = {"num_processes": 2} | training
    recipe = make_recipe(folder, folder / "raw.jsonl", training=told)
    spec = spec_of(folder, recipe, make_recommendation("full", accelerate_config=profile))
    return spec.model_copy(update={"on_gpu": on_gpu})


def recipe_with(training: dict[str, Any], **sections: Any) -> Recipe:
    whole = {"name": "x", "model": {"model_name_or_path": "m"}, "dataset": {"path": "d"}}
    return Recipe.model_validate(whole | sections | {"training": training})


def test_one_process_needs_no_launcher(tmp_path: Path) -> None:
    assert launcher(a_spec(tmp_path, num_processes=1)) == ()


@pytest.mark.parametrize("profile", get_args(Profile))
def test_a_profile_has_only_keys_that_accelerate_knows(profile: str) -> None:
    """What accelerate does not know goes into its arguments, and nothing ever reads it."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    path = PROFILES / f"{profile}.yaml"
    load_config_from_file(str(path))  # refuses unknown keys of its first level
    said = yaml.safe_load(path.read_text())
    known = {action.dest for action in launch_command_parser()._actions}
    own = said.get("fsdp_config") or said.get("deepspeed_config") or {}
    assert bool(own) == (profile in SHARDED)
    assert set(own) <= known


def test_accelerate_reads_the_profile_as_fsdp2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin

    made = environment(a_spec(tmp_path, "fsdp2"))
    assert made["ACCELERATE_USE_FSDP"] == "true"
    for name, text in made.items():
        monkeypatch.setenv(name, text)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert "SHARDED" in str(plugin.state_dict_type)
    assert plugin.auto_wrap_policy is not None, "without it the whole model is gathered at once"


@pytest.mark.parametrize("stage", [2, 3])
def test_accelerate_reads_the_profile_as_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: int
) -> None:
    from accelerate.utils import DeepSpeedPlugin

    _with_deepspeed(monkeypatch)
    for name, text in environment(a_spec(tmp_path, f"zero{stage}")).items():
        monkeypatch.setenv(name, text)
    plugin = DeepSpeedPlugin()
    wanted = {"stage": stage, "stage3_gather_16bit_weights_on_model_save": stage == 3}
    assert wanted.items() <= plugin.deepspeed_config["zero_optimization"].items()


def test_deepspeed_that_is_not_there_is_one_line_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RecipeError, match=r"zero3: DeepSpeed is not installed.*pip install deeps"):
        launcher(a_spec(tmp_path, "zero3"))
    _with_deepspeed(monkeypatch)
    with pytest.raises(RecipeError, match="this machine has none. fsdp2 shards on CPUs, too"):
        launcher(a_spec(tmp_path, "zero3", on_gpu=False))


@pytest.mark.parametrize("profile", ["multi_gpu", "fsdp2"])
def test_each_machine_starts_its_share_and_finds_the_first(tmp_path: Path, profile: str) -> None:
    spec = a_spec(tmp_path, profile, num_processes=4, num_machines=2, main_process_ip="10.0.0.1")
    for machine in (0, 1):
        words = launcher(spec, machine)
        told = dict(itertools.pairwise(words))
        assert told["--num_processes"] == "4"
        assert told["--num_machines"] == "2"
        assert told["--machine_rank"] == str(machine)
        assert told["--main_process_ip"] == "10.0.0.1"
        assert told["--main_process_port"] == "29500"
    assert environment(spec, 1)["ACCELERATE_MIXED_PRECISION"] == "no"  # its parser takes them all


def test_the_first_machine_may_be_told_as_torchrun_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    spec = a_spec(tmp_path, num_machines=2)
    with pytest.raises(RecipeError, match="num_machines = 2: .*Set training.main_process_ip"):
        launcher(spec)
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.7")
    monkeypatch.setenv("MASTER_PORT", "12345")
    assert "10.0.0.7" in launcher(spec)
    (line,) = lines_to_join(spec)
    assert "MASTER_ADDR=10.0.0.7 MASTER_PORT=12345 python -m tasks.trainer.join" in line
    assert line.endswith(f"{spec.home / 'spec.json'} 1")
    monkeypatch.setenv("MASTER_PORT", "many")
    with pytest.raises(RecipeError, match="MASTER_PORT = many: a port is a number"):
        launcher(spec)


def test_another_machine_joins_only_a_run_it_sees(tmp_path: Path) -> None:
    path = tmp_path / "train" / "spec.json"
    with pytest.raises(RecipeError, match="spec.json: no such file here"):
        join(path, 1)
    spec: TrainSpec = a_spec(tmp_path, num_machines=2, main_process_ip="10.0.0.1")
    path.parent.mkdir()
    path.write_text(spec.model_copy(update={"base_path": "/not/here"}).model_dump_json())
    with pytest.raises(RecipeError, match="Join with 1 to 1"):
        join(path, 2)
    with pytest.raises(RecipeError, match="/not/here: not seen from this machine"):
        join(path, 1)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"accelerate_config": "fsdp2"}, "is for several processes, and num_processes is 1"),
        ({"num_processes": 3, "num_machines": 2}, "Set it to a multiple of 2"),
        ({"num_processes": 2, "main_process_ip": "10.0.0.1"}, "num_machines is 1. Leave them out"),
    ],
)
def test_processes_that_do_not_add_up_are_refused(training: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipe_with(training)


@pytest.mark.parametrize("profile", SHARDED)
@pytest.mark.parametrize(
    ("method", "sections", "words"),
    [
        ("full", {"ewc": {}}, "its penalty compares whole weights with their start"),
        ("lora", {"lora": {"variant": "adalora"}}, "it ranks the singular values of whole"),
        ("lora", {"lora": {"variant": "lora_fa"}}, "its optimizer inverts"),
        ("lora", {"lora": {"variant": "pissa"}}, "the difference of whole matrices"),
        ("full", {"training": {"optim": "adamw_bnb_8bit"}}, "leave optim out"),
    ],
)
def test_what_needs_whole_matrices_is_not_sharded(
    profile: str, method: str, sections: dict[str, Any], words: str
) -> None:
    training = {"num_processes": 2, "accelerate_config": profile} | sections.get("training", {})
    rest = {name: section for name, section in sections.items() if name != "training"}
    with pytest.raises(ValueError, match=words):
        recipe_with(training, method=method, **rest)
    recipe_with(training | {"accelerate_config": "multi_gpu"}, method=method, **rest)


@pytest.mark.parametrize(
    ("profile", "storage", "words"),
    [
        ("zero3", None, "cut the packed bytes"),
        ("fsdp2", "uint8", "Leave it out"),
        ("fsdp2", "float16", "Leave it out"),
        ("fsdp2", "bfloat16", None),
        ("fsdp2", None, None),
        ("zero2", "uint8", None),
        ("multi_gpu", "uint8", None),
    ],
)
def test_a_packed_base_is_sharded_only_if_it_stays_what_it_is(
    profile: Any, storage: str | None, words: str | None
) -> None:
    why = why_not_sharded(profile, "qlora", "lora", storage=storage, dtype="bfloat16")
    assert (why is None) == (words is None)
    assert words is None or words in str(why)


def _with_deepspeed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the launcher find the package; nothing of it is run here."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
