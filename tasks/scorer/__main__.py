"""Score base and tuned model on the same test rows: `python -m tasks.scorer spec.json`.

The base is the model a user would otherwise use: the original weights, never a quantized copy of
them. So LoRA is scored as one model with its adapter off and on, QLoRA as the original base and
then the 4-bit base with its adapter, full fine-tuning as two models, one after the other.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoded, Encoder, Row, answer_of
from tasks.errors import DataError
from tasks.loading import load_base, load_tokenizer, load_tuned
from tasks.metrics.exact_match import exact_match_metric
from tasks.metrics.generation import GenerationPlan, answer_prompts, stop_ids
from tasks.metrics.token_loss import score_rows
from tasks.processes import child_main, emit
from tasks.run_folder import file_sha256
from tasks.scorer.labels import score_labels
from tasks.scorer.spec import ScoreSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Side = dict[str, list[Any]]


def score(fields: dict[str, Any]) -> None:
    """Write one sample for each test row.

    Raises:
        DataError: The test file is not the one that was prepared, or no row can be encoded.
        ModelError: A model does not load.
    """
    spec = ScoreSpec.model_validate(fields)
    rows = read_rows(spec)
    if spec.labels:
        score_labels(spec, rows)
        return
    tokenizer = load_tokenizer(
        spec.base_path,
        spec.dataset.chat_template,
        trust_remote_code=spec.model.trust_remote_code,
    )
    encoder = Encoder(tokenizer, spec.dataset, spec.row_type)
    encoded = [encoder.encode(row).cut(spec.max_length) for row in rows]
    sides: dict[str, Side] = {}
    for name, model in _models(spec):
        sides[name] = _score_side(model, spec, encoder, (name, rows, encoded))
        del model  # the next one is loaded before the loop would let it go
    write_samples(spec, rows, sides)


def read_rows(spec: ScoreSpec) -> list[Row]:
    """Return the test rows to score: all, or the first `evaluation.max_rows`."""
    path = Path(spec.test_path)
    if file_sha256(path) != spec.test_sha256:
        raise DataError(f"{path}: changed since it was prepared. Run again to prepare it anew.")
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    rows = rows[: spec.evaluation.max_rows]
    if not rows:
        raise DataError(
            "the test split has no rows, so nothing can be compared. Raise dataset.test_size, or "
            "name a file in dataset.test_path."
        )
    return rows


def _models(spec: ScoreSpec) -> Iterator[tuple[str, Any]]:
    """Give ("base", model) and ("tuned", model), one in memory at a time."""
    quantized = spec.method == "qlora"
    if spec.kind == "adapter" and not quantized:
        both: Any = _tuned(spec)
        with both.disable_adapter():
            yield "base", both
        yield "tuned", both
        return
    base = load_base(spec.base_path, spec.model, dtype=spec.dtype).eval()
    yield "base", base
    del base
    gc.collect()
    yield "tuned", _tuned(spec)


def _tuned(spec: ScoreSpec) -> Any:  # noqa: ANN401 - a PreTrainedModel or a PeftModel
    return load_tuned(
        spec.base_path,
        Path(spec.tuned_path),
        spec.kind,
        spec.model,
        dtype=spec.dtype,
        quantization=spec.quantization if spec.method == "qlora" else None,
    )


def _score_side(
    model: Any,  # noqa: ANN401
    spec: ScoreSpec,
    encoder: Encoder,
    work: tuple[str, list[Row], list[Encoded]],
) -> Side:
    name, rows, encoded = work
    step = _Progress(name, len(rows), answers=spec.row_type != "text")
    tokens = score_rows(model, encoded, len(encoder.tokenizer), step)
    side: Side = {
        "nats": [score.nats for score in tokens],
        "right_tokens": [score.right for score in tokens],
        "loss_tokens": [score.tokens for score in tokens],
        "answer": [None] * len(rows),
        "exact": [None] * len(rows),
    }
    if spec.row_type != "text":
        tokenizer: PreTrainedTokenizerBase = encoder.tokenizer
        prompts = [encoder.encode_prompt(row) for row in rows]
        plan = _plan(model, spec, encoder, rows[0])
        side["answer"] = answer_prompts(model, tokenizer, prompts, plan, step)
        references = [answer_of(row, spec.row_type) for row in rows]
        found = exact_match_metric().compute(predictions=side["answer"], references=references)
        assert found is not None
        side["exact"] = found["flags"]
    return side


def _plan(model: Any, spec: ScoreSpec, encoder: Encoder, row: Row) -> GenerationPlan:  # noqa: ANN401
    evaluation, config = spec.evaluation, model.config
    return GenerationPlan(
        max_new_tokens=evaluation.max_new_tokens or spec.longest_answer_tokens + 8,
        positions=config.to_dict().get("max_position_embeddings"),
        batch_size=evaluation.batch_size,
        stop_ids=stop_ids(encoder.tokenizer, model.generation_config.eos_token_id, encoder, row),
    )


class _Progress:
    """Counts rows of both passes (tokens, answers) of both models into progress events."""

    def __init__(self, name: str, rows: int, *, answers: bool) -> None:
        passes = 2 if answers else 1
        self.name, self.total = name, 2 * passes * rows
        self.done = 0 if name == "base" else passes * rows

    def __call__(self, rows: int) -> None:
        self.done += rows
        text = f"{self.name} model"
        emit("progress", stage="evaluate", done=self.done, total=self.total, text=text)


def write_samples(spec: ScoreSpec, rows: list[Row], sides: dict[str, Side]) -> None:
    """Write one JSON object a row: where it stood, both answers, flags and losses."""
    base, tuned = sides["base"], sides["tuned"]
    with Path(spec.samples_path).open("w", encoding="utf-8") as file:
        for index, row in enumerate(rows):
            tokens = tuned["loss_tokens"][index]
            sample: dict[str, Any] = {
                "row": index + 1,
                "source": row.get("source"),
                "line": row.get("line"),
                "reference": None if spec.row_type == "text" else answer_of(row, spec.row_type),
                "loss_tokens": tokens,
            }
            for name, side in (("base", base), ("tuned", tuned)):
                nats = side["nats"][index]
                sample |= {
                    f"{name}_answer": side["answer"][index],
                    f"{name}_exact": side["exact"][index],
                    f"{name}_loss": nats / tokens if tokens else None,
                    f"{name}_nats": nats,
                    f"{name}_right_tokens": side["right_tokens"][index],
                }
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    child_main(score)
