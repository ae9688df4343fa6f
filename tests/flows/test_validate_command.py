"""`finetune validate`: a recipe or a data file in; one verdict, one exit code, one object out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.data_display import data_report_parts
from flows.runs import open_run
from flows.validate_command import Wanted, validate_data
from tasks.contracts import DataReport, Splits
from tasks.errors import ExitCode, ModelError, RecipeError
from tasks.preparation import prepare
from tasks.run_folder import RunFolder
from tests.preparing import chats, pairs, tiny_base, write_jsonl
from tests.running import ROOT, command, settings

FEW = "validation.min_train_rows=10"
EMPTY = {"prompt": "what", "completion": ""}
KEYS = {"id", "severity", "passed", "observed", "threshold", "unexpected_count", "rows"}


def ask(path: Path, *overrides: str, **how: Any) -> ExitCode:
    return validate_data(Wanted(str(path), tiny_base().path, (FEW, *overrides), **how))


def test_json_is_one_object_with_everything_that_was_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_jsonl(tmp_path / "My Tickets.jsonl", [*pairs(200), EMPTY, '{"half'])
    assert ask(path, as_json=True) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "warn"
    assert (told["rows_in"], told["rows_out"]) == (202, 200)
    assert told["rejected"] == {"empty_answer": 1, "not_json": 1}
    assert sum(told["splits"].values()) == 200
    assert all(set(check) == KEYS for check in told["checks"])
    rows = {check["id"]: check["rows"] for check in told["checks"]}
    assert (rows["empty-answers"], rows["structure"]) == ([201], [202])
    assert Path(told["report"]).is_file()
    assert Path(told["report"]).parents[2].name == "my-tickets"


def test_a_thousand_lines_are_named_and_all_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", [*[EMPTY] * 1200, *pairs(80)])
    assert ask(path, as_json=True) == ExitCode.GATE
    checks = json.loads(capsys.readouterr().out)["checks"]
    empty = next(check for check in checks if check["id"] == "empty-answers")
    assert empty["rows"] == list(range(1, 1001))
    assert empty["unexpected_count"] == 1200


def test_people_see_the_verdict_the_counts_the_lines_and_two_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", [*pairs(200), EMPTY])
    assert ask(path) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "Data: WARN   201 rows in = 200 out + 1 rejected (1 empty_answer)" in shown
    assert "empty-answers" in shown
    assert "(1 row)" in shown
    assert "d.jsonl:1, " in shown
    assert "⟦blue<|im_end|>⟧" in shown.replace(" ", "")
    unwrapped = shown.replace("\n", "")  # the folder's name may be longer than a line
    assert "rejected.jsonl" in unwrapped
    assert "report.html" in unwrapped


def test_what_stands_in_a_row_never_acts_in_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attack = "\x1b[2J\x1b]0;owned\x07 [red]markup[/red] \u202egnp \x9b31m"
    rows = [{"prompt": f"{n} {attack}", "completion": f"yes {attack}"} for n in range(80)]
    path = write_jsonl(tmp_path / "d\x1b[31m.jsonl", rows)
    assert ask(path) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert not set("\x1b\x07\x9b\u202e") & set(shown)
    assert "␛[2J" in shown
    assert "[red]markup[/red]" in shown
    assert "⟨U+202E⟩" in shown


def test_in_colour_only_learned_tokens_are_coloured(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(80))
    ask(path)
    home = next((tmp_path / "runs").glob("*/*/snapshot.json")).parent
    folder = RunFolder(home, {})
    report, splits = folder.record("validate", DataReport), folder.record("prepare", Splits)
    terminal = Console(file=StringIO(), force_terminal=True, color_system="standard", width=100)
    for part in data_report_parts(report, splits, home, terminal):
        terminal.print(part)
    shown = terminal.file.getvalue()  # ty: ignore[unresolved-attribute]
    assert "\x1b[30;42mred<|im_end|>\x1b[0m" in shown
    assert "⟦" not in shown
    coloured = "".join(re.findall(r"\x1b\[30;42m([^\x1b]*)", shown))
    assert "colour of thing" not in coloured


def test_a_run_goes_on_from_what_was_validated(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "d.jsonl", chats(80))
    recipe = tmp_path / "trial.yaml"
    recipe.write_text(
        "name: trial\nmodel: {model_name_or_path: tasks/assets/base}\n"
        f"dataset: {{path: {data}}}\nvalidation: {{min_train_rows: 10}}\n"
    )
    assert validate_data(Wanted(str(recipe))) == ExitCode.DONE
    said: list[str] = []
    run = open_run(recipe).with_voice(said.append, lambda _event: None)
    splits = prepare.function(run.recipe, run.base, run.folder)
    assert isinstance(splits, Splits)
    assert said == [f"prepare: nothing changed, answered from {run.folder.path / 'prepare'}"]
    assert run.finished() == (None, "")


def test_a_repeat_is_answered_and_force_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(80))
    for how, answered in (({}, False), ({}, True), ({"force": True}, False)):
        ask(path, **how)
        assert ("nothing changed" in capsys.readouterr().out) is answered


def test_what_is_missing_is_said_before_anything_is_read(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(5))
    with pytest.raises(RecipeError, match="is no recipe .* so --model is needed"):
        validate_data(Wanted(str(path)))
    with pytest.raises(ModelError, match="no such folder"):
        validate_data(Wanted(str(path), "./nowhere"))
    with pytest.raises(RecipeError, match="Did you mean `max_length`"):
        ask(path, "dataset.max_lenght=3")


def test_it_needs_neither_prefect_nor_weights_and_says_one_object(tmp_path: Path) -> None:
    """As a command: its exit code is the gate's, and standard output holds the object alone."""
    base = Path(tiny_base().path)
    assert not list(base.glob("*.safetensors"))
    path = write_jsonl(tmp_path / "d.jsonl", [*[EMPTY] * 9, *pairs(80)])
    code = (
        "import sys\nfrom flows.cli import main\n"
        f"sys.argv = ['finetune', 'validate', {str(path)!r}, '--model', {str(base)!r}, '--json',"
        f" '--set', '{FEW}']\n"
        "try: main()\nfinally: sys.stderr.write(str('prefect' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=settings(tmp_path),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["verdict"] == "fail"
    assert done.stderr.endswith("False")
    missing = command(
        ["validate", str(tmp_path / "none.jsonl"), "--model", "x"], settings(tmp_path)
    )
    assert missing.returncode == 2
    assert "Traceback" not in missing.stdout
