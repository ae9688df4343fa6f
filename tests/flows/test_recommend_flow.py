"""The deployment `recommend/default`: the command's answers as a run with an artifact."""

from __future__ import annotations

import pytest

from flows.recommend import _flags
from flows.recommend_flags import Flags
from tasks.errors import RecipeError
from tests.running import prefect


def test_answers_are_the_flags_by_name() -> None:
    found = _flags(None, {"model": "llama3.1-8b", "seq-len": 512, "critical": True})
    assert found == Flags(model="llama3.1-8b", seq_len="512", critical=True)
    assert _flags("x.yaml", {}).recipe == "x.yaml"
    with pytest.raises(RecipeError, match="colour: no such flag"):
        _flags(None, {"colour": "red"})


@pytest.mark.slow
def test_the_deployment_answers_and_refuses(up: dict[str, str]) -> None:
    def run(answers: str) -> str:
        told = ["--param", 'recipe=""', "--param", f"answers={answers}"]
        return prefect(["deployment", "run", "recommend/default", "--watch", *told], up).stdout

    assert "Recommended" in run('{"model": "llama3.1-8b", "gpu": "2x4090"}')
    assert "NothingFits" in run('{"model": "llama3.1-70b", "gpu": "4090"}')
    refused = run('{"model": "llama3.1-8b", "gpu": "A100"}')
    assert "InputRejected" in refused
    artifacts = prefect(["artifact", "ls"], up).stdout
    assert "recommendation" in artifacts
