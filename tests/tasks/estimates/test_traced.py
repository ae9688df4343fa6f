"""Traced figures: computed in a child, remembered, and computed anew when they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import ModelError
from tasks.estimates import traced
from tasks.estimates.architecture import architecture
from tasks.estimates.memory import Setup, estimate
from tasks.estimates.trace.case import TraceCase

CASE = TraceCase(
    config={
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 128,
    },
    length=16,
)


@pytest.mark.slow
def test_a_figure_is_remembered_and_a_damaged_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    (first,) = traced.trace_cases([CASE])
    (file,) = (tmp_path / "traced").iterdir()
    altered = first.model_copy(update={"peak_bytes": 7})
    file.write_text(altered.model_dump_json())
    assert traced.trace_cases([CASE]) == (altered,)
    file.write_text("{")
    assert traced.trace_cases([CASE]) == (first,)


@pytest.mark.slow
def test_the_traced_estimate_is_near_the_closed_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    setup = Setup(architecture=architecture("smollm2-135m"), method="lora", r=8, length=256)
    exact, quick = traced.traced_estimate(setup, None), estimate(setup, None)
    assert exact.high_bytes == pytest.approx(quick.high_bytes, rel=0.03)
    assert exact.low_bytes <= exact.high_bytes


@pytest.mark.slow
def test_the_childs_error_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    case = CASE.model_copy(update={"config": {"model_type": "nonesuch"}})
    with pytest.raises(ModelError, match="nonesuch"):
        traced.trace_cases([case])
    assert not (tmp_path / "traced").exists()
