"""What `bench/validate.py` times, each in a process of its own: the gate, its phases, and others.

A work gets the folder with `data.jsonl` and returns numbers; `wall_seconds` leaves the imports out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["WORKS"]

BASE = Path("tasks/assets/base")
#: Rows of which the phases are timed one by one; their seconds are scaled to all rows.
PHASE_ROWS = 5_000


def gate(folder: Path) -> dict[str, Any]:
    """Prepare and validate; return verdict, counts and what was found of what was planted."""
    from tasks.base_model import resolve
    from tasks.preparation import prepare
    from tasks.recipe import Recipe
    from tasks.run_folder import RunFolder, text_sha256
    from tasks.validation import validate

    path = folder / "data.jsonl"
    recipe = Recipe.model_validate(
        {
            "name": "bench",
            "model": {"model_name_or_path": str(BASE.resolve())},
            "dataset": {"path": str(path), "max_length": 512},
        }
    )
    base = resolve(recipe.model)
    start, cpu = time.monotonic(), _cpu_seconds()
    home = folder / "runs" / "bench" / text_sha256(str(path.stat().st_size))[:12]
    run = RunFolder(home, {"device": "cpu"})
    splits = prepare.fn(recipe, base, run)
    prepared = time.monotonic()
    report = validate.fn(recipe, splits, run)
    return {
        "wall_seconds": time.monotonic() - start,
        "prepare_seconds": round(prepared - start, 2),
        "validate_seconds": round(time.monotonic() - prepared, 2),
        "cpu_seconds": round(_cpu_seconds() - cpu, 2),
        "rows_in": splits.rows_in,
        "rows_out": report.rows_out,
        "tokens_per_row": round(splits.train.tokens / splits.train.rows),
        "rejected": splits.rejected,
        "found_of_planted": _found(home / splits.profile_path, folder / "planted.json"),
    }


def _found(profile: Path, planted: Path) -> dict[str, dict[str, float]]:
    """Return recall and precision of each planted defect that has a column of its own."""
    import pandas

    frame = pandas.read_parquet(profile)
    names = {"email": "emails"}
    found = {}
    for defect, lines in json.loads(planted.read_text()).items():
        column = names.get(defect, defect)
        if column not in frame:
            continue
        seen = set(frame.loc[frame[column] > 0, "line"])
        if defect in ("duplicate", "near_duplicate", "conflict"):
            # Which of two stays is chosen by content, so it may be the planted one.
            found[defect] = {"planted": len(lines), "found": len(seen)}
            continue
        hits = len(seen & set(lines))
        found[defect] = {
            "planted": len(lines),
            "found": len(seen),
            "recall": round(hits / max(1, len(lines)), 4),
            "precision": round(hits / max(1, len(seen)), 4),
        }
    return found


def phases(folder: Path) -> dict[str, Any]:
    """Return the CPU seconds of each phase for all rows, measured one by one on a part of them."""
    from tasks.loading import load_tokenizer
    from tasks.profile.reading import read_rows

    path = folder / "data.jsonl"
    with path.open("rb") as file:
        total = sum(1 for _line in file)
    raws, read = _timed(lambda: list(islice(read_rows(path), PHASE_ROWS)))
    tokenizer = load_tokenizer(str(BASE))
    seconds = {"read": read, **_row_phases(path, tokenizer, [r.raw for r in raws if not r.problem])}
    scaled = {name: value * total / len(raws) for name, value in seconds.items()}
    return {name: round(value, 2) for name, value in {**scaled, **_whole_phases(folder)}.items()}


def _row_phases(
    path: Path, tokenizer: PreTrainedTokenizerBase, raws: list[Any]
) -> dict[str, float]:
    from tasks.encoding import Encoder
    from tasks.profile.keys import row_keys
    from tasks.profile.shapes import choose_shape
    from tasks.profile.words import compared_text, word_hashes
    from tasks.recipe import DatasetSection

    section = DatasetSection(path=str(path))
    shape = choose_shape(section, raws[:200], has_template=True)
    encoder = Encoder(tokenizer, section, shape.row_type)
    found, canonical = _timed(lambda: [shape.to_canonical(raw)[0] for raw in raws])
    rows = [row for row in found if row is not None]
    texts, template = _timed(lambda: [encoder._rendered(row)[0] for row in rows])
    seconds = {"canonical": canonical, "template": template}
    seconds["tokenize"] = _timed(lambda: encoder._tokenized(texts))[1]
    seconds["hashes"] = _timed(lambda: [row_keys(row) for row in rows])[1]
    seconds["words"] = _timed(lambda: [word_hashes(compared_text(row)) for row in rows])[1]
    try:
        from tasks.signals.row import signals_of
    except ImportError:
        return seconds
    return {**seconds, "patterns": _timed(lambda: [signals_of(row) for row in rows])[1]}


def _whole_phases(folder: Path) -> dict[str, float]:
    """Return the CPU seconds of what needs all rows."""
    import numpy

    from tasks.profile.near import find_clusters
    from tasks.profile.shingles import Texts
    from tasks.profile.words import word_hashes

    words, ends = [], [0]
    with (folder / "data.jsonl").open() as file:
        for line in file:
            words.append(word_hashes(line))
            ends.append(ends[-1] + len(words[-1]))
    number = len(words)
    content = numpy.random.default_rng(0).integers(0, 1 << 62, number).astype(numpy.uint64)
    apart = numpy.zeros(number, numpy.uint64)
    texts = Texts(numpy.concatenate(words), numpy.array(ends), content, apart)
    del words
    return {"near_duplicates": _timed(lambda: find_clusters(texts, numpy.arange(number)))[1]}


def great_expectations_on_text(folder: Path) -> dict[str, Any]:
    """Check the text columns with Great Expectations alone: no tokens, no near-duplicates."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas

    rows = [_turns(line) for line in (folder / "data.jsonl").open()]
    frame = pandas.DataFrame(rows, columns=["prompt", "answer", "roles"])
    cpu, start = _cpu_seconds(), time.monotonic()
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("text").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all")
    checks = [
        gxe.ExpectColumnValuesToNotBeNull(column="answer"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="answer", min_value=1),
        gxe.ExpectColumnValueLengthsToBeBetween(column="prompt", min_value=1, max_value=2000),
        gxe.ExpectColumnValuesToBeInSet(column="roles", value_set=["user assistant"]),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["prompt", "answer"]),
        gxe.ExpectColumnValuesToBeUnique(column="prompt"),
        gxe.ExpectColumnValuesToNotMatchRegex(column="prompt", regex=r"[\w.]+@[\w.]+\.\w+"),
        gxe.ExpectColumnValuesToNotMatchRegex(column="prompt", regex=r"\b(?:\d[ -]?){13,16}\b"),
        gxe.ExpectColumnValuesToNotMatchRegex(column="prompt", regex="\ufffd|Ã.|â€"),
        gxe.ExpectColumnValuesToNotMatchRegex(column="answer", regex=r"\{\{.*\}\}|<[a-z]+>"),
    ]
    suite = context.suites.add(gx.ExpectationSuite(name="text", expectations=checks))
    definition = gx.ValidationDefinition(name="text", data=batch, suite=suite)
    context.validation_definitions.add(definition)
    definition.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY")
    wall = time.monotonic() - start
    return {"wall_seconds": wall, "cpu_seconds": round(_cpu_seconds() - cpu, 2)}


def datasets_map(folder: Path) -> dict[str, Any]:
    """Measure every row with `datasets.map`, a row a call, in one process; no near-duplicates."""
    import datasets

    from tasks.encoding import Encoder
    from tasks.loading import load_tokenizer
    from tasks.profile.keys import row_keys
    from tasks.profile.words import compared_text, word_hashes
    from tasks.recipe import DatasetSection

    section = DatasetSection(path="x")
    encoder = Encoder(load_tokenizer(str(BASE)), section, "messages")
    try:
        from tasks.signals.row import signals_of
    except ImportError:
        signals_of = None

    def check(row: dict[str, Any]) -> dict[str, Any]:
        turns = {"messages": row["messages"]}
        out: Any = encoder.tokenizer.apply_chat_template(
            row["messages"], return_dict=True, return_assistant_tokens_mask=True
        )
        keys, words = row_keys(turns), word_hashes(compared_text(turns))
        found = signals_of(turns) if signals_of else ()
        return {"tokens": len(out["input_ids"]), "learned": sum(out["assistant_masks"]),
                "key": keys.content % 2**62, "words": len(words), "signals": list(found)}  # fmt: skip

    # Its own reader would stop at the first broken line; the sound ones are given to it.
    rows = [json.loads(line) for line in (folder / "data.jsonl").open() if line.endswith("}\n")]
    rows = [row for row in rows if row["messages"][0]["role"] == "user"]
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_list(rows)
    cpu, start = _cpu_seconds(), time.monotonic()
    table.map(check, remove_columns=["messages"], load_from_cache_file=False)
    wall = time.monotonic() - start
    return {"wall_seconds": wall, "cpu_seconds": round(_cpu_seconds() - cpu, 2)}


def _turns(line: str) -> tuple[str, str, str]:
    try:
        turns = json.loads(line)["messages"]
    except ValueError:
        return "", "", "broken"
    return turns[0]["content"], turns[-1]["content"], " ".join(t["role"] for t in turns)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and its ended children."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


WORKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "gate": gate,
    "phases": phases,
    "great_expectations_on_text": great_expectations_on_text,
    "datasets_map": datasets_map,
}
