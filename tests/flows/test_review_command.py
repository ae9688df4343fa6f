"""`finetune review` and `finetune clean`, and a flow run that waits for a review on a real server."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from flows.clean_command import clean
from flows.review_command import Decisions, review
from flows.run_names import find_run
from flows.runs import Outcome, open_run
from flows.validate_command import Wanted, validate_data
from tasks.contracts import DataReport
from tasks.errors import ExitCode, FolderError, RecipeError
from tests.preparing import chats, tiny_base, write_jsonl
from tests.running import command, prefect

EMPTY = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": ""}]}
WHY = Decisions(accept=["empty-answers"], reason="known", until="2099-01-31", by="Ann")


def recipe_of(folder: Path, name: str, rows: list[Any], *more: str) -> Path:
    data = write_jsonl(folder / f"{name}.jsonl", rows)
    path = folder / f"{name}.yaml"
    limits = ", ".join(["min_train_rows: 10", *more])
    path.write_text(
        f"name: {name}\nmodel: {{model_name_or_path: {tiny_base().path}}}\n"
        f"dataset: {{path: {data}}}\nvalidation: {{{limits}}}\n"
    )
    return path


def test_a_waived_finding_lets_the_data_pass_and_a_finished_run_go_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path, "waived", [*[EMPTY] * 3, *chats(90)])
    assert validate_data(Wanted(str(recipe))) == ExitCode.GATE
    run = open_run(recipe, weights=False)
    run.write_outcome(Outcome("DataRejected", "", ("prepare", "validate")))
    assert run.finished()[0] is not None
    assert review("waived", Decisions(), listed=True) == ExitCode.GATE
    assert "empty-answers" in capsys.readouterr().out
    assert review("waived", WHY) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "data gate: WARN" in shown
    assert "known" in shown
    assert run.finished() == (None, "the review of its data changed")
    assert validate_data(Wanted(str(recipe))) == ExitCode.DONE
    assert "waived" in capsys.readouterr().out
    line = json.loads((tmp_path / "runs" / "waived" / "reviews.jsonl").read_text())
    assert (line["reviewer"], line["check"], line["threshold"]) == ("Ann", "empty-answers", 0.01)


def test_a_run_is_found_by_folder_name_identity_and_recipe(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "named", chats(40))
    validate_data(Wanted(str(recipe)))
    folder = open_run(recipe, weights=False).folder.path
    for name in (str(folder), "named", f"named/{folder.name}", str(recipe)):
        assert find_run(name).path == folder
    with pytest.raises(FolderError, match="no such run .* one of: named"):
        find_run("nobody")
    (folder / "validate" / "manifest.json").unlink()
    with pytest.raises(FolderError, match="were not validated"):
        review("named", WHY)


def test_clean_takes_the_rows_and_leaves_the_evidence(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "cleaned", [*chats(90), *chats(1)])
    validate_data(Wanted(str(recipe)))
    folder = find_run("cleaned").path
    with pytest.raises(RecipeError, match="name runs, or say --all"):
        clean([])
    assert clean(["cleaned"]) == ExitCode.DONE
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"prepare/profile.parquet", "validate/report.html", "prepare/manifest.json"} <= left
    assert not [name for name in left if name.endswith((".jsonl", "examples.json"))]
    assert find_run("cleaned").record("validate", DataReport).rows_in == 91
    assert validate_data(Wanted(str(recipe))) == ExitCode.DONE
    assert (folder / "prepare" / "train.jsonl").is_file()
    assert clean([], everything=True) == ExitCode.DONE
    assert not (folder / "prepare" / "train.jsonl").exists()


def state_of(url: str, flow_run: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/flow_runs/{flow_run}", timeout=10) as reply:
        return json.loads(reply.read())["state"]


def wait_for(url: str, flow_run: str, kinds: set[str]) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while (state := state_of(url, flow_run))["type"] not in kinds:
        assert time.monotonic() < deadline, state
        time.sleep(1)
    return state


def artifacts(url: str, flow_run: str) -> set[str]:
    """Return the keys of what a flow run left on its page."""
    asked = urllib.request.Request(
        f"{url}/artifacts/filter",
        json.dumps({"flow_runs": {"id": {"any_": [flow_run]}}}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as reply:
        return {artifact["key"] for artifact in json.loads(reply.read())}


def started(recipe: Path, env: dict[str, str]) -> str:
    done = prefect(["deployment", "run", "validate/default", "--param", f"recipe={recipe}"], env)
    found = re.search(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", done.stdout)
    assert found, done.stdout
    return found[0]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("end to end")
def test_a_flow_run_waits_for_a_review_from_the_page_or_the_terminal(
    up: dict[str, str], tmp_path: Path
) -> None:
    url, ends = up["PREFECT_API_URL"], {"COMPLETED", "FAILED", "CRASHED"}
    rows = [*[EMPTY] * 3, *chats(90)]
    recipes = [recipe_of(tmp_path, name, rows, "review: required") for name in ("page", "words")]
    page, words = (started(recipe, up) for recipe in recipes)
    for flow_run in (page, words):
        state = wait_for(url, flow_run, {*ends, "PAUSED"})
        assert state["name"] == "Suspended", state

    # What the form of Prefect's page sends.
    said = {"decision": "accept", "reason": "known", "reviewer": "Ann", "waive": ["empty-answers"]}
    asked = urllib.request.Request(
        f"{url}/flow_runs/{page}/resume",
        json.dumps({"run_input": said}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(asked, timeout=30).close()
    rejected = command(
        ["review", "words", "--reject", "empty-answers", "--reason", "no", "--by", "Bob"], up
    )
    assert rejected.returncode == 1, rejected.stdout
    assert f"Flow run {words} goes on." in rejected.stdout

    # A run that nobody could start again does not wait: it ends and says what to do.
    here = recipe_of(tmp_path, "here", chats(90), "review: required")
    planned = command(
        ["plan", str(here), "--set", "model.model_name_or_path=tasks/assets/base"], up
    )
    assert planned.returncode == 1, planned.stdout
    assert "ReviewNeeded" in planned.stdout
    assert "finetune review " in planned.stdout

    state = wait_for(url, page, ends)
    assert (state["name"], state["type"]) == ("Validated", "COMPLETED"), state
    assert "data gate: warn" in state["message"]
    assert {"data-report", "data-checks"} <= artifacts(url, page)
    state = wait_for(url, words, ends)
    assert (state["name"], state["type"]) == ("DataRejected", "FAILED"), state
    assert "empty-answers was rejected by Bob: no" in state["message"]
