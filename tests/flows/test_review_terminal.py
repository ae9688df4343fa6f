"""`finetune review` at a terminal: a pseudo-terminal asks, and answers are typed one by one."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.validate_command import Wanted, validate_data
from tasks.errors import ExitCode
from tests.flows.test_review_command import EMPTY, recipe_of
from tests.preparing import chats

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


class Terminal:
    """A process on a pseudo-terminal, as a person has it before them."""

    def __init__(self, *arguments: str) -> None:
        self.screen, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "100"},
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, words: str) -> None:
        """Read the screen until it shows these words after what was read before."""
        seen, end = len(self.shown), time.monotonic() + SECONDS
        while words not in self.shown[seen:]:
            assert time.monotonic() < end, f"{words!r} was not shown:\n{self.shown}"
            if not select.select([self.screen], [], [], 1)[0]:
                continue
            try:
                new = os.read(self.screen, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                new = ""
            assert new, f"{words!r} was not shown before the end:\n{self.shown}"
            self.shown += new

    def answer(self, question: str, text: str) -> None:
        """Wait for a question and type an answer."""
        self.wait_for(question)
        os.write(self.screen, f"{text}\n".encode())

    def close(self) -> int:
        """Read what is left and return the exit code."""
        try:
            while new := os.read(self.screen, 4096):
                self.shown += new.decode(errors="replace")
        except OSError:
            pass
        os.close(self.screen)
        return self.process.wait(SECONDS)


@pytest.mark.slow
def test_a_person_accepts_a_finding_at_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path, "asked", [*[EMPTY] * 3, *chats(90)])
    assert validate_data(Wanted(str(recipe))) == ExitCode.GATE
    capsys.readouterr()
    reviews = tmp_path / "runs" / "asked" / "reviews.jsonl"

    skipping = Terminal("review", "asked")
    skipping.answer("Your name", "Ann")
    skipping.answer("empty-answers: accept, reject or skip", "perhaps")
    skipping.answer("Please select one of the available options", "skip")
    assert skipping.close() == ExitCode.GATE
    assert not reviews.exists()

    deciding = Terminal("review", "asked")
    deciding.answer("Your name", "Ann")
    deciding.answer("empty-answers: accept, reject or skip", "accept")
    deciding.answer("Why", "")
    deciding.answer("Why", "known and wanted")  # nothing is no reason: asked again
    deciding.answer("Until", "2099-01-31")
    assert deciding.close() == ExitCode.DONE
    assert "recorded in" in deciding.shown
    (line,) = [json.loads(text) for text in reviews.read_text().splitlines()]
    assert (line["reviewer"], line["check"]) == ("Ann", "empty-answers")
    assert (line["reason"], line["until"]) == ("known and wanted", "2099-01-31")
