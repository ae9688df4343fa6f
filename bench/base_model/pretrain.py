"""Pretrain the base model from nothing: `python -m bench.base_model.pretrain`.

Matrices learn with Muon (orthogonalized momentum, Jordan et al. 2024; torch.optim.Muon), the tied
embedding and the norms with AdamW. The rate warms up for 50 steps, is flat (to 70 %) and falls
linearly to 2 %. bfloat16 autocast and torch.compile, on CPU and GPU. `--start_from` goes on from
weights of an earlier run with new text and new optimizer states. The text is `corpus.py`.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.base_model.packing import BLOCK, blocks
from bench.base_model.scoring import general_exact_match
from bench.base_model.vocabulary import VOCABULARY, train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)
SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
}


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path("tasks/assets/base"))
    parser.add_argument("--tokens", type=float, default=12e6, help="tokens seen in all")
    parser.add_argument("--blocks_per_step", type=int, default=16, help=f"blocks of {BLOCK} tokens")
    parser.add_argument("--muon_rate", type=float, default=4e-3)
    parser.add_argument("--adamw_rate", type=float, default=3e-3)
    parser.add_argument(
        "--scores", type=int, default=10, help="points at which exact match is measured"
    )
    parser.add_argument(
        "--rows", type=int, default=105, help="evaluation rows per side of the split"
    )
    parser.add_argument("--flat", type=float, default=0.7, help="fraction before the rate falls")
    parser.add_argument("--start_from", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--all_tokens", action="store_true", help="also train rare tokens")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pretrain(arguments)


def pretrain(arguments: argparse.Namespace) -> None:
    """Train tokenizer and model, and keep the newest weights and the log in `output`."""
    import torch

    torch.manual_seed(arguments.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    arguments.output.mkdir(parents=True, exist_ok=True)
    model, tokenizer, log = start(arguments)
    before = log[-1]["tokens"] if log else 0
    tokenizer.save_pretrained(arguments.output)
    model = model.to(device)
    body = torch.compile(model.model)
    optimizers = make_optimizers(model, arguments)
    steps = int(arguments.tokens // (arguments.blocks_per_step * BLOCK))
    batches = batch_stream(arguments)
    losses, started = [], time.perf_counter()
    score_points = {steps * (i + 1) // arguments.scores for i in range(arguments.scores)}
    for step in range(steps):
        block = torch.from_numpy(next(batches)).to(device).long()
        loss = assistant_loss(model, body, block[:, 0], block[:, 1].bool())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        update(optimizers, schedule(step, steps, arguments.flat))
        losses.append(loss.detach())
        if (step + 1) % max(1, steps // 100) == 0 or step + 1 in score_points:
            mean = torch.stack(losses).mean().item()
            losses.clear()
            entry = {
                "seed": arguments.seed,
                "step": step + 1,
                "tokens": before + (step + 1) * arguments.blocks_per_step * BLOCK,
            }
            entry |= {"loss": round(mean, 4), "seconds": round(time.perf_counter() - started, 1)}
            if step + 1 in score_points:
                entry |= score(model, tokenizer, arguments.rows)
                save(model, tokenizer, arguments.output)
            log.append(entry)
            logger.info("%s", entry)
            lines = "".join(json.dumps(line) + "\n" for line in log)
            (arguments.output / "training_log.jsonl").write_text(lines, encoding="utf-8")


def start(
    arguments: argparse.Namespace,
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast, list[dict[str, float]]]:
    """Return model, tokenizer and log: untrained, or those saved in `start_from`.

    Of an earlier log only what lies before its last saved (scored) point is kept.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if arguments.start_from is None:
        tokenizer = train_tokenizer(arguments.seed)
        return build(tokenizer), tokenizer, []
    lines = (arguments.start_from / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
    log = [json.loads(line) for line in lines]
    while log and "known" not in log[-1]:
        log.pop()
    model = AutoModelForCausalLM.from_pretrained(arguments.start_from, dtype="float32")
    return model, AutoTokenizer.from_pretrained(arguments.start_from), log


def build(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return the untrained model, about 2.2M parameters with tied embeddings."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    ids = {
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            num_key_value_heads=SHAPE["num_attention_heads"],
            max_position_embeddings=512,
            tie_word_embeddings=True,
            **SHAPE,
            **ids,
        )
    )
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=128, **ids)
    return model


def make_optimizers(
    model: LlamaForCausalLM, arguments: argparse.Namespace
) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers and AdamW for everything else."""
    import torch

    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in named if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(
        matrices, lr=arguments.muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(others, lr=arguments.adamw_rate, betas=(0.9, 0.98), weight_decay=0.01)
    for optimizer in (muon, adamw):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adamw]


def update(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Take one step of every optimizer at `factor` times its peak rate, and clear the gradients."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def assistant_loss(
    model: LlamaForCausalLM, body: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy of the masked tokens; ids and mask are (blocks, BLOCK).

    Logits are built for those positions only, which saves most of the head.
    """
    import torch

    with torch.autocast(ids.device.type, torch.bfloat16):
        hidden = body(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.lm_head(hidden[mask[:, 1:]])
    return torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][mask[:, 1:]])


def batch_stream(arguments: argparse.Namespace) -> Iterator[np.ndarray]:
    """Yield batches (blocks, 2, BLOCK) without end."""
    rows = arguments.blocks_per_step
    file = arguments.output / "tokenizer.json"
    left = np.zeros((0, 2, BLOCK), dtype=np.int16)
    for fresh in blocks(file, arguments.seed, all_tokens=arguments.all_tokens):
        left = np.concatenate([left, fresh])
        while len(left) >= rows:
            yield left[:rows]
            left = left[rows:]


def schedule(step: int, steps: int, flat: float) -> float:
    """Return the factor on the peak rate: warmup, 1 up to the fraction `flat`, linear to 2 %."""
    done = step / steps
    return min((step + 1) / 50, 1.0 if done < flat else 1.0 - 0.98 * (done - flat) / (1 - flat))


def score(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: int
) -> dict[str, float]:
    """Return exact match on general tasks for known and for held-out entities."""
    return {
        side: round(
            general_exact_match(model, tokenizer, held_out=side == "held_out", rows=rows), 3
        )
        for side in ("known", "held_out")
    }


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, output: Path) -> None:
    """Write weights, configuration and tokenizer as transformers reads them."""
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)


if __name__ == "__main__":
    main()
