"""The rules of the house, as tests: small files, honest names, a fast command line."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from tasks.recipe_file import load_recipe

ROOT = Path(__file__).parents[1]
ROOMS = ("flows", "tasks", "expectations")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
STAGE_FILES = (
    "preparation",
    "validation",
    "recommendation",
    "training",
    "evaluation",
    "publication",
)
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
HEAVY = {
    *("accelerate", "bitsandbytes", "datasets", "evaluate", "great_expectations"),
    *("peft", "prefect", "torch", "transformers", "trl"),
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_introduces_itself_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    module = ast.parse(text)
    functions = [
        n for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert ast.get_docstring(module)
    assert text.count("\n") <= 300
    for function in functions:
        assert function.end_lineno - function.lineno + 1 <= 50, function.name
    if path.parent.name == "tasks" and path.stem in STAGE_FILES:
        assert text.count("\n") <= 120


def test_no_file_is_named_after_a_package_we_could_import() -> None:
    ours = {path.stem for path in SOURCES} - {"__init__", "__main__"}
    taken = sys.stdlib_module_names | {n for n in packages_distributions() if n not in ROOMS}
    assert not ours & taken


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import flows.cli, sys; print(*sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_recipe_is_valid_and_bears_its_file_name(path: Path) -> None:
    place = path.relative_to(ROOT / "recipes").with_suffix("")
    assert load_recipe(path).recipe.name == "_".join(place.parts)


def test_recipes_hold_no_python() -> None:
    assert not list((ROOT / "recipes").rglob("*.py"))


def test_every_deployment_names_a_flow_that_exists() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert deployments
    for deployment in deployments:
        module, _, function = deployment["entrypoint"].rpartition(".")
        source = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()
        assert re.search(rf"^def {function}\(", source, re.M), deployment["entrypoint"]


def test_prefect_s_pins_hold_in_this_environment() -> None:
    """FastAPI from 0.151 on and SQLAlchemy from 2.1 on break Prefect 3.8, the second silently."""
    from importlib.metadata import version

    assert tuple(map(int, version("fastapi").split(".")[:2])) < (0, 151)
    assert tuple(map(int, version("sqlalchemy").split(".")[:2])) < (2, 1)
    constraints = (ROOT / "constraints.txt").read_text()
    assert re.search(r"(?mi)^fastapi==0\.150\.", constraints)
    assert re.search(r"(?mi)^sqlalchemy==2\.0\.", constraints)
    assert re.search(r"(?m)^torch==2\.13\.0$", constraints)


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text())):
        assert re.search(rf"(?m)^{target}:", makefile), target


def test_the_tree_of_the_readme_is_the_tree() -> None:
    """Every path that the README's tree names exists."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.split("<!-- tree -->")[1]
    for line in tree.splitlines():
        found = re.match(r"^([\w./-]+)\s{2,}\S", line)
        if found:
            assert (ROOT / found[1]).exists(), found[1]


def test_the_recipe_schema_is_up_to_date() -> None:
    from flows.schema import PATH, schema_text

    assert PATH.read_text(encoding="utf-8") == schema_text(), "run `make schema`"
