"""Scoring a classifier: the tuned model's label for each test row, beside the commonest one.

What stands in for a base model, and why, is in `tasks/metrics/labels.py`; so one model is loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoder, Row
from tasks.loading import agree_on_padding, load_tokenizer, load_tuned
from tasks.metrics.labels import commonest
from tasks.processes import emit
from tasks.scorer.spec import ScoreSpec

if TYPE_CHECKING:
    import torch

__all__ = ["label_logits", "score_labels"]


def score_labels(spec: ScoreSpec, rows: Sequence[Row]) -> None:
    """Write one sample for each row: its label, both answers, their probabilities and losses."""
    tokenizer = load_tokenizer(spec.base_path, trust_remote_code=spec.model.trust_remote_code)
    names = [label.name for label in spec.labels]
    model: Any = load_tuned(
        spec.base_path,
        Path(spec.tuned_path),
        spec.kind,
        spec.model,
        dtype=spec.dtype,
        quantization=spec.quantization if spec.method == "qlora" else None,
        labels=names,
    )
    agree_on_padding(tokenizer, model)
    encoder = Encoder(tokenizer, spec.dataset, "labelled")
    ids = [encoder.encode(row).cut(spec.max_length).input_ids for row in rows]
    logs = label_logits(model, ids, spec.evaluation.batch_size).log_softmax(-1).double()
    total, base = sum(label.rows for label in spec.labels), commonest(spec.labels)
    shares = {label.name: label.rows / total for label in spec.labels}
    with Path(spec.samples_path).open("w", encoding="utf-8") as file:
        for number, (row, log) in enumerate(zip(rows, logs, strict=True), start=1):
            wanted, best = row["completion"], int(log.argmax())
            sample = {
                "row": number,
                "source": row.get("source"),
                "line": row.get("line"),
                "reference": wanted,
                "base_answer": base.name,
                "base_exact": base.name == wanted,
                "base_probability": shares[base.name],
                "base_nats": -math.log(shares[wanted]),
                "tuned_answer": names[best],
                "tuned_exact": names[best] == wanted,
                "tuned_probability": math.exp(float(log[best])),
                "tuned_nats": -float(log[names.index(wanted)]),
            }
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")


def label_logits(model: Any, rows: Sequence[list[int]], batch_size: int) -> torch.Tensor:  # noqa: ANN401
    """Return one vector of logits a row, in order, float32 on the CPU, padded on the right."""
    import torch

    place, pad = next(model.parameters()).device, int(model.config.pad_token_id)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        width = max(len(rows[index]) for index in batch)
        ids = [rows[index] + [pad] * (width - len(rows[index])) for index in batch]
        mask = [[1] * len(rows[index]) + [0] * (width - len(rows[index])) for index in batch]
        with torch.inference_mode():
            logits = model(
                input_ids=torch.tensor(ids, device=place),
                attention_mask=torch.tensor(mask, device=place),
            ).logits
        found.update(zip(batch, logits.float().cpu(), strict=True))
        emit("progress", stage="evaluate", done=len(found), total=len(rows), text="tuned model")
    return torch.stack([found[index] for index in range(len(rows))])
