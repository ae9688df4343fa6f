"""The ledger: nothing is lost, nothing is spent twice, whoever writes beside whom."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BudgetError
from tasks.ledger import (
    Entry,
    Figures,
    booked,
    entries,
    measured_before,
    reserve,
    settle,
    spent_usd,
)

ROOT = Path(__file__).resolve().parents[2]


def wanted(run: str = "a", usd: float | None = 4.0, budget: str = "support") -> Entry:
    return Entry(
        kind="reserved",
        id=f"{budget}/{run}/train",
        time="2026-11-23T12:00:00+00:00",
        month="2026-11",
        budget=budget,
        run=f"{budget}/{run}",
        rung="train",
        machine="here",
        device="cuda:l4",
        process=1,
        model="m",
        method="lora",
        predicted=Figures(
            memory_bytes=(10, 20),
            seconds=(1000.0, 4000.0),
            usd=None if usd is None else (usd / 8, usd),
        ),
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_a_run_reserves_its_upper_cost_and_settles_what_it_took(ledger: Path) -> None:
    reserve(ledger, wanted(), 10)
    assert spent_usd(ledger, "support") == 4.0
    done = settle(ledger, wanted(), 1000.0, (15, 15))
    # $4 for 4,000 s and $0.50 for 1,000 s: $1.00 at most for 1,000 s
    assert done.measured is not None
    assert done.measured.usd == (0.5, 1.0)
    assert spent_usd(ledger, "support") == 1.0
    assert [entry.kind for entry in entries(ledger)] == ["reserved", "settled"]


def test_a_budget_that_does_not_hold_it_refuses_and_writes_nothing(ledger: Path) -> None:
    reserve(ledger, wanted("a"), 10)
    reserve(ledger, wanted("b"), 10)
    with pytest.raises(BudgetError, match=r"\$4\.00, but \$8\.00 .*support/a, support/b"):
        reserve(ledger, wanted("c"), 10)
    assert len(entries(ledger)) == 2
    settle(ledger, wanted("a"), 1000.0, None)
    reserve(ledger, wanted("c"), 10)
    assert spent_usd(ledger, "support") == 9.0


def test_exactly_the_budget_may_be_spent(ledger: Path) -> None:
    reserve(ledger, wanted("a", 4.0), 8.0)
    reserve(ledger, wanted("b", 4.0), 8.0)
    with pytest.raises(BudgetError):
        reserve(ledger, wanted("c", 0.01), 8.0)


def test_other_budgets_and_unknown_prices_do_not_count(ledger: Path) -> None:
    reserve(ledger, wanted("a", 9.0, budget="other"), 10)
    reserve(ledger, wanted("b", usd=None), 10)
    reserve(ledger, wanted("c", 9.0), 10)
    assert spent_usd(ledger, "support") == 9.0
    assert spent_usd(ledger, "support", "2026-10") == 0.0


def test_a_run_that_goes_on_takes_its_own_reservation_over(ledger: Path) -> None:
    for _ in range(3):
        reserve(ledger, wanted("a", 6.0), 10)
    assert spent_usd(ledger, "support") == 6.0


def test_a_run_done_again_costs_again(ledger: Path) -> None:
    for _ in range(2):
        reserve(ledger, wanted("a", 4.0), 10)
        settle(ledger, wanted("a", 4.0), 4000.0, None)
    assert spent_usd(ledger, "support") == 8.0
    with pytest.raises(BudgetError):
        reserve(ledger, wanted("a", 4.0), 10)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_work_that_fails_or_is_stopped_is_settled(ledger: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), booked(ledger, wanted(), 10):
        raise error
    last = entries(ledger)[-1]
    assert (last.kind, last.outcome) == ("settled", "failed")
    assert spent_usd(ledger, "support") < 0.1


def test_a_torn_line_counts_nothing_and_is_not_grown_upon(ledger: Path) -> None:
    reserve(ledger, wanted("a"), None)
    whole = ledger.read_text(encoding="utf-8")
    ledger.write_text(whole + whole[: len(whole) // 2], encoding="utf-8")
    reserve(ledger, wanted("b"), None)
    assert [entry.run for entry in entries(ledger)] == ["support/a", "support/b"]
    assert len(ledger.read_text(encoding="utf-8").splitlines()) == 3


def test_lines_are_json_with_the_fields_of_the_schema(ledger: Path) -> None:
    reserve(ledger, wanted(), None)
    settle(ledger, wanted(), 50.0, (7, 7))
    for line in ledger.read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == set(Entry.model_fields)


WRITER = """
import sys
from pathlib import Path
from tasks.errors import BudgetError
from tasks.ledger import reserve, settle
sys.path.insert(0, ".")
from tests.tasks.test_ledger import wanted
ledger, name, limit = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
for turn in range(20):
    one = wanted(f"{name}-{turn}", 1.0)
    try:
        reserve(ledger, one, limit)
    except BudgetError:
        continue
    if turn % 2:
        settle(ledger, one, 4000.0, None)
"""


def test_processes_beside_each_other_lose_no_line_and_never_overspend(ledger: Path) -> None:
    """Five processes want $100 together and have $31: no more, no less is given out."""
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, ledger, name, "31"], cwd=ROOT)
        for name in "abcde"
    ]
    assert [child.wait(120) for child in children] == [0] * 5
    kinds = [entry.kind for entry in entries(ledger)]
    assert kinds.count("reserved") == 31
    assert spent_usd(ledger, "support") == pytest.approx(31)
    assert len(ledger.read_text(encoding="utf-8").splitlines()) == len(kinds)


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abcd"), st.floats(0.1, 9), st.booleans()), max_size=12
    )
)
def test_whatever_is_reserved_and_settled_the_limit_holds(
    steps: list[tuple[str, float, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = tmp_path_factory.mktemp("runs") / "ledger.jsonl"
    for run, usd, settles in steps:
        one = wanted(run, usd)
        try:
            reserve(ledger, one, 10.0)
        except BudgetError:
            continue
        if settles:
            settle(ledger, one, 4000.0, None)
        assert spent_usd(ledger, "support") <= 10.0 + 1e-9


def test_what_was_measured_before_is_told_as_ratios(ledger: Path) -> None:
    assert measured_before(ledger, "cuda:l4", "lora") is None
    for name, seconds, memory in (("a", 1000.0, 10), ("b", 4000.0, 20)):
        reserve(ledger, wanted(name), None)
        settle(ledger, wanted(name), seconds, (memory, memory))
    settle(ledger, wanted("c"), 1.0, None, failed=True)
    found = measured_before(ledger, "cuda:l4", "lora")
    assert found is not None
    assert (found.runs, found.seconds, found.memory) == (2, (0.5, 2.0), (0.5, 1.0))
    assert measured_before(ledger, "cpu", "lora") is None
