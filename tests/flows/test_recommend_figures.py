"""The figures of the recommend command: every setting reaches them, and each says where it is from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.measure import measured
from flows.recommend_command import Flags, recommend_from_flags
from flows.recommend_facts import facts_from_flags
from tasks.decision import decide
from tasks.errors import RecipeError
from tasks.estimates.measured import allocated_bytes
from tasks.estimates.plan import make_plan, setup_of
from tasks.ledger import booking, ledger_of, reserve, settle
from tasks.recipe_file import load_recipe
from tests.flows.recommending import written


def test_each_setting_of_a_configuration_changes_the_figures() -> None:
    plain = Flags(model="llama3.1-8b", gpu="a6000", method="lora", r="16", batch_size="4")
    base = recommend_from_flags(plain)
    assert base.memory is not None
    changes = {
        "r": "128", "target_modules": "q_proj,v_proj", "quantization": "nf4", "dtype": "float32",
        "batch_size": "8", "seq_len": "4096", "no_gradient_checkpointing": True,
        "plain_loss": True,
    }  # fmt: skip
    for name, value in changes.items():
        method = {"method": None} if name == "quantization" else {}
        found = recommend_from_flags(Flags(**{**vars(plain), **method, name: value}))
        assert found.memory is not None
        assert found.memory.high_bytes != base.memory.high_bytes, name
    full = Flags(**{**vars(plain), "method": "full", "r": None})
    eight = Flags(**{**vars(full), "optim": "adamw_8bit"})
    figures = [recommend_from_flags(x).memory for x in (full, eight)]
    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[1].optimizer_bytes < 0.3 * figures[0].optimizer_bytes


def test_an_eight_bit_base_is_estimated_and_not_written_into_a_recipe() -> None:
    plain = Flags(model="llama3.1-8b", gpu="4090", batch_size="1")
    four = recommend_from_flags(Flags(**{**vars(plain), "quantization": "nf4-double"}))
    eight = recommend_from_flags(Flags(**{**vars(plain), "quantization": "int8"}))
    assert four.memory is not None
    assert eight.memory is not None
    linear = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    packed = 0.5 + 1 / 64 + 4 / (64 * 256)
    more = eight.memory.weights_bytes - four.memory.weights_bytes
    assert more == pytest.approx((1 - packed) * linear, rel=1e-3)
    assert any("not trained here" in line for line in eight.warnings)
    with pytest.raises(RecipeError, match="Write nf4"):
        written(Flags(**{**vars(plain), "quantization": "int8", "as_yaml": True}))


def test_the_attention_asked_for_reaches_the_exact_configuration() -> None:
    for flag, gpu, kernel in (
        ("flash", "l4", "flash"), ("eager", "l4", "eager"), (None, "l4", "sdpa"),
        (None, "t4", "sdpa-repeated"), (None, "cpu", "sdpa"),
    ):  # fmt: skip
        facts = facts_from_flags(Flags(model="llama3.2-1b", gpu=gpu, attn=flag)).facts
        assert setup_of(facts, make_plan(facts, "lora", 16)).attention == kernel


def test_a_card_without_a_price_gets_gpu_hours_and_a_question() -> None:
    found = recommend_from_flags(Flags(model="llama3.1-8b", vram_gb="48"))
    assert found.cost is not None
    assert found.cost.high_usd is None
    hours = f"{found.cost.low_seconds / 3600:.3g} to {found.cost.high_seconds / 3600:.3g} GPU-hours"
    assert any("What does an hour" in line and hours in line for line in found.warnings)
    priced = recommend_from_flags(
        Flags(model="llama3.1-8b", vram_gb="48", usd_per_gpu_hour="$0.50")
    )
    assert priced.cost is not None
    assert priced.cost.low_usd == pytest.approx(priced.cost.low_seconds / 3600 * 0.5)


@pytest.mark.slow
def test_a_traced_figure_takes_the_place_of_the_closed_form() -> None:
    flags = Flags(model="llama3.2-1b", gpu="l4", seq_len="512", batch_size="1")
    facts = facts_from_flags(flags).facts
    choice = decide(facts)
    found = measured(facts, choice)
    assert choice.memory is not None
    assert found.memory is not None
    assert found.warnings[-1].startswith("Traced: ")
    assert allocated_bytes(found.memory) != allocated_bytes(choice.memory)
    assert allocated_bytes(found.memory) == pytest.approx(allocated_bytes(choice.memory), rel=0.3)
    assert next(o.memory for o in found.comparison if o.role == "chosen") == found.memory


def test_own_cards_cost_electricity_and_wear_instead_of_rent() -> None:
    own = recommend_from_flags(Flags(model="llama3.1-8b", gpu="2x4090", owned=True)).cost
    assert own is not None
    assert "450 W" in own.price_source
    assert own.low_usd is not None
    # 2 cards x (0.7 x 450 W at $0.10, and $1,599 over 3 years of 8,766 hours)
    hour = 2 * (0.7 * 0.45 * 0.10 + 1599 / (3 * 8766))
    assert own.low_usd == pytest.approx(own.low_seconds / 3600 * hour)
    unknown = recommend_from_flags(Flags(model="llama3.2-1b", vram_gb="24", owned=True)).cost
    assert unknown is not None
    assert unknown.low_usd is None
    assert "set budget.usd_per_gpu_hour" in unknown.price_source


def test_storage_that_whole_models_exceed_forbids_full() -> None:
    flags = Flags(model="llama3.2-1b", gpu="h200", accuracy="99%", rows="20k")
    assert recommend_from_flags(flags).method == "full"
    small = recommend_from_flags(Flags(**{**vars(flags), "storage_gb": "4"}))
    assert small.method == "lora"
    assert "ROOM" in small.blocked
    assert small.conflict is not None
    assert "budget.storage_gb (4)" in small.conflict
    none = recommend_from_flags(Flags(**{**vars(flags), "storage_gb": "1"}))
    assert none.method == "nothing_fits"
    assert "budget.storage_gb (1)" in str(none.conflict)


def test_what_was_measured_here_before_is_told_beside_the_estimate(tmp_path: Path) -> None:
    flags = Flags(model="llama3.1-8b", gpu="4090", as_json=True)
    choice = recommend_from_flags(flags)
    recipe = load_recipe("quickstart").recipe
    run = tmp_path / "runs" / "x" / "1"
    assert json.loads(written(flags))["measured_before"] == []
    reserved = booking(recipe, choice, run)
    reserve(ledger_of(run), reserved, None)
    assert choice.cost is not None
    assert choice.memory is not None
    middle = (choice.cost.low_seconds * choice.cost.high_seconds) ** 0.5
    peak = choice.memory.high_bytes // 2
    settle(ledger_of(run), reserved, 2 * middle, (peak, peak))
    told = json.loads(written(flags))["measured_before"]
    assert told[0].startswith("1 run(s) took 2 to 2 times")
    assert "0.5 to 0.5 times the upper estimate" in told[1]
    assert "measured before: 1 run(s)" in written(Flags(model="llama3.1-8b", gpu="4090"))
    assert "measured before" not in written(Flags(model="llama3.1-8b", gpu="l4"))
