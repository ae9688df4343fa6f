"""Decisions on keys and counts: what is the same, which split, how long."""

from __future__ import annotations

import unicodedata

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import RecipeError
from tasks.profile.keys import content_key, normalized, prompt_key, share_of, split_of
from tasks.profile.lengths import check_max_length, choose_max_length, percentile, positions_of
from tasks.recipe import DatasetSection

LENGTHS = st.lists(st.integers(1, 5000), min_size=1, max_size=60)


def section(**keys: object) -> DatasetSection:
    return DatasetSection.model_validate({"path": "x", **keys})


@given(st.text(), st.sampled_from([" ", "\n", "\t", "  ", "\u00a0"]))
def test_white_space_and_unicode_forms_do_not_make_a_row_new(text: str, space: str) -> None:
    respaced = f"{space}{text.replace(' ', space)}{space}"
    assert normalized(respaced) == normalized(text)
    assert normalized(unicodedata.normalize("NFD", text)) == normalized(text)


def test_a_prompt_is_a_prompt_whatever_its_answer() -> None:
    one, two = {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "c"}
    assert prompt_key(one) == prompt_key(two)
    assert content_key(one) != content_key(two)
    chat = [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]
    assert prompt_key({"messages": chat}) == prompt_key(
        {"messages": [chat[0], {"role": "assistant", "content": "d"}]}
    )
    assert prompt_key({"text": "a"}) != prompt_key({"text": "b"})


def test_shares_are_uniform_over_prompts() -> None:
    keys = [prompt_key({"text": f"row {number}"}) for number in range(4000)]
    counts, _edges = numpy.histogram([share_of(key) for key in keys], bins=10, range=(0, 1))
    assert (abs(counts - 400) < 100).all()  # 5 standard deviations


@given(st.binary(min_size=16, max_size=16), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_test_share_takes_no_row_back(key: bytes, small: float, large: float) -> None:
    small, large = sorted((small, large))
    if split_of(key, validation_size=0.1, test_size=small) == "test":
        assert split_of(key, validation_size=0.1, test_size=large) == "test"


@given(LENGTHS, st.sampled_from([50, 90, 95, 99]))
def test_percentiles_are_nearest_rank_as_in_numpy(lengths: list[int], percent: int) -> None:
    expected = numpy.percentile(lengths, percent, method="inverted_cdf")
    assert percentile(lengths, percent) == expected


@given(LENGTHS, st.one_of(st.none(), st.integers(8, 4096)))
def test_a_chosen_length_fits_the_model_and_loses_one_percent_at_most(
    lengths: list[int], positions: int | None
) -> None:
    chosen, why = choose_max_length(section(), lengths, positions)
    assert why
    if positions is not None:
        assert chosen <= positions
    if positions is None or chosen < positions:
        assert chosen % 8 == 0
        assert sum(length > chosen for length in lengths) <= 0.01 * len(lengths)


@pytest.mark.parametrize(
    ("lengths", "chosen"), [([100] * 99 + [140], 144), ([100] * 99 + [151], 104), ([3], 8)]
)
def test_the_longest_row_is_kept_unless_it_is_an_outlier(lengths: list[int], chosen: int) -> None:
    assert choose_max_length(section(), lengths, None)[0] == chosen


def test_a_length_beyond_the_model_names_key_and_limit() -> None:
    with pytest.raises(RecipeError, match=r"dataset\.max_length = 512: the model has 256"):
        check_max_length(section(max_length=512), 256)


def test_positions_are_found_under_the_names_architectures_use() -> None:
    assert positions_of({"n_positions": 1024}) == 1024
    assert positions_of({"text_config": {"max_position_embeddings": 77}}) == 77
    assert positions_of({}) is None
