"""Near-duplicates: reworded rows are found, rows that say the same of other things are not."""

from __future__ import annotations

import random
from typing import Any

import numpy
import pytest

from tasks.profile.keys import row_keys
from tasks.profile.near import find_clusters
from tasks.profile.overlap import overlap_with
from tasks.profile.shingles import Texts
from tasks.profile.words import compared_text, word_hashes

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgk" for b in ("al", "en", "or", "ui") for c in "mnrst"]


def texts_of(rows: list[dict[str, Any]], apart: list[int] | None = None) -> Texts:
    words = [word_hashes(compared_text(row)) for row in rows]
    ends = numpy.cumsum([0, *map(len, words)])
    content = numpy.array([row_keys(row).content for row in rows], numpy.uint64)
    answers = numpy.array(apart or [0] * len(rows), numpy.uint64)
    return Texts(numpy.concatenate(words), ends, content, answers)


def clusters_of(rows: list[str], apart: list[int] | None = None) -> list[int]:
    texts = texts_of([{"text": row} for row in rows], apart)
    return find_clusters(texts, numpy.arange(len(rows))).tolist()


def long_rows(count: int, words: int = 60, seed: int = 0) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.choices(VOCABULARY, k=words) for _ in range(count)]


@pytest.mark.parametrize(("changed", "least", "most"), [(1, 0.99, 1), (3, 0.9, 1), (6, 0, 0.1)])
def test_recall_at_changed_words_of_sixty(changed: int, least: float, most: float) -> None:
    rng = random.Random(changed)
    rows = long_rows(600)
    for row in rows[:200]:
        copy = list(row)
        for place in rng.sample(range(60), changed):
            copy[place] = f"new{rng.randrange(10**6)}"
        rows.append(copy)
    found = clusters_of([" ".join(row) for row in rows])
    recall = sum(found[600 + at] == found[at] for at in range(200)) / 200
    assert least <= recall <= most
    assert found[200:600] == list(range(200, 600))


def test_the_exact_jaccard_similarity_decides() -> None:
    """A brute-force comparison of all pairs of rows with random overlaps gives the same clusters."""
    rng = random.Random(7)
    rows = []
    for words in long_rows(40, words=40, seed=3):
        rows.append(words)
        cut = rng.randrange(1, 20)
        rows.append([*words[cut:], *rng.choices(VOCABULARY, k=cut)])
    found = clusters_of([" ".join(row) for row in rows])
    for at in range(0, 80, 2):
        sets = [{tuple(r[i : i + 3]) for i in range(38)} for r in rows[at : at + 2]]
        similarity = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        assert (found[at] == found[at + 1]) == (similarity >= 0.7), similarity


def test_case_and_punctuation_make_no_row_new() -> None:
    assert clusters_of(["Can I top-up?", "can i top up", "Can I pay by card?"])[:2] in (
        [0, 0],
        [1, 1],
    )


def test_rows_that_differ_in_their_values_are_no_duplicates() -> None:
    mail = "Hello, my order {} has not arrived although it was sent on Monday. Please look for it."
    assert clusters_of([mail.format(n) for n in (17, 18, 19)]) == [0, 1, 2]
    same = [mail.format("x"), mail.format("x") + " Thanks"]
    assert clusters_of(same, apart=[1, 2]) == [0, 1]
    assert len(set(clusters_of(same, apart=[1, 1]))) == 1


def test_short_rows_need_more_in_common() -> None:
    rows = ["please cancel my order for the red shoes", "please cancel my order for the red hat"]
    assert clusters_of(rows) == [0, 1]


def test_what_all_rows_share_makes_no_row_alike() -> None:
    instruction = " ".join(VOCABULARY[:60])
    rows = [f"{instruction} {' '.join(words)}" for words in long_rows(200, words=12)]
    assert clusters_of(rows) == list(range(200))
    rows[7] = rows[3] + " indeed"
    found = clusters_of(rows)
    assert found[7] == found[3]
    assert len(set(found)) == 199


def test_scripts_without_spaces_are_compared_by_character() -> None:
    text = "本の貸出期間は二週間です。延長を希望する場合は、窓口またはウェブサイトで手続きをしてください。"
    found = clusters_of([text, text.replace("窓口", "受付"), "天気が良いので散歩に行きましょう。"])
    assert found[0] == found[1] != found[2]


def test_system_messages_are_not_compared() -> None:
    system = {"role": "system", "content": " ".join(VOCABULARY)}
    rows = [
        {
            "messages": [
                system,
                {"role": "user", "content": text},
                {"role": "assistant", "content": "ok"},
            ]
        }
        for text in ("where is my parcel today", "how do I change my name")
    ]
    assert find_clusters(texts_of(rows), numpy.arange(2)).tolist() == [0, 1]


def test_clusters_do_not_depend_on_the_order_of_rows() -> None:
    rng = random.Random(1)
    rows = [" ".join(words) for words in long_rows(150)]
    rows += [f"{row} {rng.choice(VOCABULARY)}" for row in rows[:60] for _ in range(3)]
    expected = _named(rows)
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        assert _named(rows) == expected


def _named(rows: list[str]) -> dict[str, str]:
    return {rows[at]: rows[by] for at, by in enumerate(clusters_of(rows))}


def test_no_words_and_no_rows_are_no_error() -> None:
    assert clusters_of(["...", "!!!", "", "a"]) == [0, 1, 2, 3]
    empty = numpy.zeros(0, int)
    none = Texts(empty.astype("u4"), numpy.zeros(1, int), empty.astype("u8"), empty.astype("u8"))
    assert len(find_clusters(none, empty)) == 0


def test_overlap_is_the_share_of_runs_of_eight_words() -> None:
    """Compared with sets of tuples; the filter may err once in a thousand runs."""
    rows = long_rows(300, words=80, seed=9)
    rng = random.Random(2)
    for row in rows[:100]:
        cut = rng.randrange(0, 60)
        row[10 : 10 + cut] = rng.choice(rows[200:])[:cut]
    rows += [words[:5] for words in rows[200:220]]
    texts = texts_of([{"text": " ".join(row)} for row in rows])
    judging, learning = numpy.arange(200, 300), numpy.array([*range(200), 300, 301])
    found = overlap_with(texts, judging, learning)
    judged = {tuple(rows[at][i : i + 8]) for at in judging for i in range(73)}
    for at, share in zip(learning, found, strict=True):
        runs = [tuple(rows[at][i : i + 8]) for i in range(len(rows[at]) - 7)]
        expected = sum(run in judged for run in runs) / len(runs) if runs else 0
        assert share == pytest.approx(expected, abs=0.03)
    assert overlap_with(texts, judging[:0], learning).sum() == 0
