"""Checks of an artefact: agreement is measured as defined and its limits bite."""

import math

import pytest

from tasks.errors import ReleaseError
from tasks.exports.checks import (
    KEPT_LOGITS,
    Agreement,
    agreement,
    require_agreement,
    sample_ids,
)
from tasks.exports.model_card import escaped


def logits(seed: int = 0):
    import torch

    return torch.randn(20, 50, generator=torch.Generator().manual_seed(seed))


def test_equal_logits_agree_fully() -> None:
    found = agreement(logits(), logits())
    assert found == Agreement(relative_error=0, kl_nats=0, top1=1, tokens=20)


def test_agreement_equals_its_definition() -> None:
    import torch

    expected, seen = logits(), logits() + 0.01 * logits(1)
    found = agreement(expected, seen)
    assert found.relative_error == pytest.approx(
        0.01 * float(logits(1).norm() / expected.norm()), rel=1e-4
    )
    kl = torch.nn.functional.kl_div(
        seen.log_softmax(-1), expected.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    assert found.kl_nats == pytest.approx(float(kl), rel=1e-3)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_logit_that_is_no_number_agrees_with_nothing(broken: float) -> None:
    seen = logits()
    seen[3, 4] = broken
    with pytest.raises(ReleaseError):
        require_agreement("it", agreement(logits(), seen), "bfloat16")


@pytest.mark.parametrize(
    ("dtype", "error", "kl", "top1", "agrees"),
    [
        ("float32", 2e-6, 1e-9, 1.0, True),
        ("float32", 2e-3, 1e-9, 1.0, False),
        ("float16", 2e-3, 2e-6, 1.0, True),
        ("bfloat16", 1.7e-2, 9e-5, 0.999, True),
        ("bfloat16", 0.33, 0.04, 0.99, False),
        ("bfloat16", 1e-2, 1e-2, 1.0, False),
        ("bfloat16", 1e-2, 1e-4, 0.98, False),
    ],
)
def test_limits_follow_the_dtype(
    dtype: str, error: float, kl: float, top1: float, agrees: bool
) -> None:
    found = Agreement(relative_error=error, kl_nats=kl, top1=top1, tokens=100)
    if agrees:
        require_agreement("the published merged", found, dtype)
        return
    with pytest.raises(ReleaseError, match="nothing was published"):
        require_agreement("the published merged", found, dtype)


def test_kept_logits_are_bounded_whatever_the_vocabulary() -> None:
    rows = [[1] * 300 for _ in range(16)]
    assert sample_ids(rows, 1000) == rows
    for vocabulary in (32_000, 150_000, 10**9):
        kept = sum(len(row) for row in sample_ids(rows, vocabulary))
        assert 2 <= kept <= max(2, KEPT_LOGITS // vocabulary)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<script>", "&lt;script&gt;"),
        ("two\n# lines", r"two \# lines"),
        ("[x](y) `z`", r"\[x\](y) \`z\`"),
    ],
)
def test_outside_words_are_not_read_as_markup(text: str, shown: str) -> None:
    assert escaped(text) == shown
