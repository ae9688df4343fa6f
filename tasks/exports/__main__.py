"""Build a release in the registry's hidden folder and check it: `python -m tasks.exports spec.json`.

Checked before anything is visible: the tuned weights change the base's logits; the artefact, read
back from disk with nothing but transformers and peft, gives the logits of the evaluated model; its
tokenizer gives training rows the ids they were trained with.
"""

from __future__ import annotations

import gc
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoder, Row
from tasks.errors import ReleaseError
from tasks.exports.adapter import write_adapter
from tasks.exports.checks import (
    agreement,
    logits_of,
    require_agreement,
    same_answer,
    sample_ids,
)
from tasks.exports.merged import write_merged, write_model
from tasks.exports.spec import ExportSpec
from tasks.loading import (
    agree_on_padding,
    device,
    head_settings,
    load_base,
    load_tokenizer,
    load_tuned,
    quantization_config,
    use_exact_4bit,
)
from tasks.metrics.generation import stop_ids
from tasks.processes import child_main, emit

if TYPE_CHECKING:
    import torch

WRITERS = {"adapter": write_adapter, "merged": write_merged, "model": write_model}
CHECKED_ROWS = 16
#: Rounding of a mean.
SAME = 1e-6


def export(fields: dict[str, Any]) -> None:
    """Write the artefact and `checks.json`.

    Raises:
        ReleaseError: A check failed.
        ModelError: A model does not load.
    """
    spec = ExportSpec.model_validate(fields)
    out = Path(spec.out)
    rows = _rows(spec)
    encoder = _encoder(spec)
    ids = [encoder.encode(row).cut(spec.max_length).input_ids for row in rows]
    sample = sample_ids(ids, len(encoder.tokenizer))
    _tell(0, "logits of the evaluated model")
    evaluated, base = _evaluated_and_base(spec, sample)
    checks: dict[str, Any] = {
        "alive": _require_alive(agreement(base, evaluated).model_dump(), spec)
    }
    _tell(1, f"writing the {spec.kind}")
    WRITERS[spec.kind](spec, out)
    gc.collect()
    if spec.labels:
        _write_tokenizer_of_texts(encoder, out)
    else:
        _write_tokenizer(spec, encoder, rows[0], out)
    _tell(2, "reading it back")
    checks["tokenizer"] = _require_same_tokens(spec, rows)
    if spec.kind != "merged" or spec.verify_merge:
        found = agreement(evaluated, logits_of(_read_back(spec), sample))
        require_agreement(f"the published {spec.kind}", found, spec.dtype)
        checks["reload"] = found.model_dump()
    Path(spec.checks_path).write_text(json.dumps(checks, indent=1), encoding="utf-8")
    _tell(3, "checked")


def _tell(done: int, text: str) -> None:
    emit("progress", stage="publish", done=done, total=3, text=text)


def _rows(spec: ExportSpec) -> list[Row]:
    """Return the first training rows; publishing never needs the test rows."""
    with Path(spec.rows_path).open(encoding="utf-8") as file:
        return [json.loads(line) for line in itertools.islice(file, CHECKED_ROWS)]


def _encoder(spec: ExportSpec) -> Encoder:
    tokenizer = load_tokenizer(
        spec.base_path,
        spec.dataset.chat_template,
        trust_remote_code=spec.model.trust_remote_code,
    )
    return Encoder(tokenizer, spec.dataset, spec.row_type)


def _evaluated_and_base(
    spec: ExportSpec, sample: list[list[int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of the model as it was evaluated, and of what it was trained from.

    A new head's answers are random, so a classifier is held against one that cannot tell texts apart.
    """
    tuned: Any = load_tuned(
        spec.base_path,
        Path(spec.tuned_path),
        "model" if spec.kind == "model" else "adapter",
        spec.model,
        dtype=spec.dtype,
        quantization=spec.load_quantization,
        labels=spec.labels,
    )
    if spec.labels:
        agree_on_padding(load_tokenizer(spec.base_path), tuned)
        evaluated = logits_of(tuned, sample)
        return evaluated, same_answer(evaluated)
    evaluated = logits_of(tuned, sample)
    if spec.kind != "model":
        with tuned.disable_adapter():
            return evaluated, logits_of(tuned, sample)
    del tuned
    gc.collect()
    return evaluated, logits_of(load_base(spec.base_path, spec.model, dtype=spec.dtype), sample)


def _require_alive(found: dict[str, Any], spec: ExportSpec) -> dict[str, Any]:
    if spec.labels and not found["relative_error"] > SAME:  # not a number where all are zero
        raise ReleaseError(
            "the tuned model gives every text the same scores, so it tells nothing apart. Nothing "
            "was published. Look at the training loss; the learning rate may be far too small."
        )
    if found["relative_error"] == 0:
        raise ReleaseError(
            "the tuned weights change nothing: every logit is the base model's. Nothing was "
            "published. Look at the training loss; the learning rate may be far too small."
        )
    return found


def _write_tokenizer(spec: ExportSpec, encoder: Encoder, row: Row, out: Path) -> None:
    """Write tokenizer, the template that was trained with, and settings that stop an answer."""
    tokenizer = encoder.tokenizer
    if encoder.template is not None:
        tokenizer.chat_template = encoder.template
    # Decoder-only models take no token types; some tokenizers would hand them to `generate`.
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(out)
    source = Path(spec.base_path) / "generation_config.json"
    settings = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}
    stops = stop_ids(tokenizer, settings.get("eos_token_id"), encoder, row)
    pad = tokenizer.pad_token_id
    settings.pop("_from_model_config", None)  # it is ours from here on
    settings |= {"eos_token_id": list(stops), "pad_token_id": stops[0] if pad is None else pad}
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    (out / "generation_config.json").write_text(text, encoding="utf-8")


def _write_tokenizer_of_texts(encoder: Encoder, out: Path) -> None:
    """Write the tokenizer as the head was trained with it: padding named, on the right."""
    tokenizer = encoder.tokenizer
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(out)


def _require_same_tokens(spec: ExportSpec, rows: list[Row]) -> dict[str, Any]:
    dataset = spec.dataset.model_copy(update={"chat_template": "auto"})
    published = load_tokenizer(spec.out, trust_remote_code=spec.model.trust_remote_code)
    fresh, trained = Encoder(published, dataset, spec.row_type), _encoder(spec)
    for number, row in enumerate(rows, 1):
        same = fresh.encode(row) == trained.encode(row)
        if spec.row_type != "text":
            same = same and fresh.encode_prompt(row) == trained.encode_prompt(row)
        if not same:
            raise ReleaseError(
                f"the published tokenizer gives training row {number} other tokens than it was "
                "trained with. Nothing was published; please report the tokenizer."
            )
    return {"rows": len(rows), "equal": True}


def _read_back(spec: ExportSpec) -> Any:  # noqa: ANN401 - a PreTrainedModel or a PeftModel
    """Load the artefact as a stranger would: with transformers and peft, from the disk."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    whole = spec.kind != "adapter"
    extra: dict[str, Any] = {}
    if spec.labels and not whole:
        extra = head_settings(spec.labels) | {"pad_token_id": load_tokenizer(spec.out).pad_token_id}
    if not whole and spec.load_quantization is not None:
        extra["quantization_config"] = quantization_config(spec.load_quantization, spec.dtype)
    kind = AutoModelForSequenceClassification if spec.labels else AutoModelForCausalLM
    model = kind.from_pretrained(
        spec.out if whole else spec.base_path,
        dtype=getattr(torch, spec.dtype),
        attn_implementation=spec.model.attn_implementation,
        trust_remote_code=spec.model.trust_remote_code,
        device_map={"": device()},
        **extra,
    )
    use_exact_4bit(model)
    return model if whole else PeftModel.from_pretrained(model, spec.out)


if __name__ == "__main__":
    child_main(export)
