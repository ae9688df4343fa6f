"""Answer one prompt with the base and a release: `python -m tasks.exports.answer spec.json`.

A classifier gives the text its label, with the share of its scores, beside the commonest label.

Greedy, as in evaluation: the base as a user would otherwise use it (its original weights), then the
release as it was evaluated. Each answer is an event {"event": "answer", "side": ..., "text": ...}.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.contracts import LabelCount
from tasks.encoding import Encoder, Row
from tasks.exports.checks import logits_of
from tasks.exports.spec import AnswerSpec
from tasks.loading import agree_on_padding, load_base, load_tokenizer, load_tuned
from tasks.metrics.generation import GenerationPlan, answer_prompts, stop_ids
from tasks.metrics.labels import commonest
from tasks.processes import child_main, emit
from tasks.recipe import Recipe


def answer(fields: dict[str, Any]) -> None:
    """Emit the base's answer and the release's.

    Raises:
        ModelError: A model or tokenizer does not load.
    """
    spec = AnswerSpec.model_validate(fields)
    recipe = Recipe.model_validate(spec.about["recipe"])
    if spec.about.get("labels"):
        _label(spec, recipe)
        return
    row_type = spec.about["row_type"]
    tokenizer = load_tokenizer(spec.release_path, trust_remote_code=recipe.model.trust_remote_code)
    dataset = recipe.dataset.model_copy(update={"chat_template": "auto"})
    encoder = Encoder(tokenizer, dataset, row_type)
    row, prompt = _prompt(spec.prompt, encoder)
    for side, model in _models(spec, recipe):
        plan = GenerationPlan(
            max_new_tokens=spec.max_new_tokens,
            positions=model.config.to_dict().get("max_position_embeddings"),
            batch_size=1,
            stop_ids=stop_ids(tokenizer, model.generation_config.eos_token_id, encoder, row),
        )
        emit("answer", side=side, text=answer_prompts(model, tokenizer, [prompt], plan)[0])
        del model


def _label(spec: AnswerSpec, recipe: Recipe) -> None:
    labels = [LabelCount.model_validate(label) for label in spec.about["labels"]]
    most = commonest(labels)
    share = most.rows / sum(label.rows for label in labels)
    emit("answer", side="base", text=f"{most.name} ({share:.1%} of the training rows have it)")
    tokenizer = load_tokenizer(spec.release_path, trust_remote_code=recipe.model.trust_remote_code)
    model = _tuned(spec, recipe, tuple(label.name for label in labels))
    agree_on_padding(tokenizer, model)
    ids = Encoder(tokenizer, recipe.dataset, "labelled").encode_prompt({"prompt": spec.prompt})
    shares = logits_of(model, [ids])[0].softmax(-1)
    best = int(shares.argmax())
    emit("answer", side="tuned", text=f"{labels[best].name} ({float(shares[best]):.1%})")


def _prompt(text: str, encoder: Encoder) -> tuple[Row, list[int]]:
    """Return the prompt as the model was trained to see one: a user's turn, or plain text."""
    if encoder.row_type == "messages":
        turns = [{"role": "user", "content": text}, {"role": "assistant", "content": ""}]
        return {"messages": turns}, encoder.encode_prompt({"messages": turns})
    return {}, list(encoder.tokenizer(text)["input_ids"])


def _models(spec: AnswerSpec, recipe: Recipe) -> Iterator[tuple[str, Any]]:
    dtype = spec.about["checkpoint"]["dtype"]
    yield "base", load_base(spec.base_path, recipe.model, dtype=dtype).eval()
    gc.collect()
    yield "tuned", _tuned(spec, recipe)


def _tuned(spec: AnswerSpec, recipe: Recipe, labels: tuple[str, ...] = ()) -> Any:  # noqa: ANN401
    checkpoint, adapter = spec.about["checkpoint"], spec.about["kind"] == "adapter"
    quantized = adapter and checkpoint["method"] == "qlora"
    return load_tuned(
        spec.base_path,
        Path(spec.release_path),
        "adapter" if adapter else "model",
        recipe.model,
        dtype=checkpoint["dtype"],
        quantization=recipe.quantization if quantized else None,
        labels=labels,
    )


if __name__ == "__main__":
    child_main(answer)
