"""Read the closed form's activation terms off the trace: `tasks/assets/activations.json`.

    python -m bench.read_activations [family ...]

A family's model is traced at dimensions that are all different primes, so that every tensor's shape
says which dimensions it has; the live bytes at each operation then are a sum of products such as
T h (tokens x hidden). Of the moments within a layer, and of those around the head, only those are
kept that no other exceeds in every term: the peak for any dimensions is the largest of them. Nothing
is fitted; what is read is counted in whole bytes. Published measurements are not looked at.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tasks.estimates.trace.build import build, decoder_layers, give_fake_storages
from tasks.estimates.trace.case import TraceCase
from tasks.estimates.trace.live_bytes import INSIDE, LiveBytes
from tasks.estimates.trace.stand_ins import like_on

ASSET = Path(__file__).parents[1] / "tasks" / "assets" / "activations.json"
#: Sizes of the dimensions; S tokens, one sequence.
S, D, N, K, F, V, R = 1511, 46, 33, 11, 5801, 33013, 13
H = N * 83
#: Families whose hidden size is the width of their heads.
SQUARE = ("gpt2", "gpt_neox", "opt", "falcon", "bloom")
DEPTH = 3

Vector = Counter[str]  # bytes by product of dimensions, `` the constant


def dimensions(square: bool) -> tuple[dict[str, int], dict[int, Vector]]:
    """Return the sizes to build with, and what a size in a shape means."""
    heads = H // D if square else N
    h = 53 * D if square else H
    heads, kv = (53, 53) if square else (N, K)
    names: dict[int, Vector] = {}
    widths = {"T": S, "h": h, "f": F, "q": heads * D, "k": kv * D, "V": V, "r": R}
    widths |= {"n": heads, "j": kv, "d": D, "c": 32768}
    for name, size in widths.items():
        names.setdefault(size, Counter({name: 1}))
    names.setdefault(heads * D + 2 * kv * D, Counter({"q": 1, "k": 2}))
    for factor in (2, 3, 4):
        names.setdefault(factor * h, Counter({"h": factor}))
        names.setdefault(factor * F, Counter({"f": factor}))
    names[D // 2] = Counter({"d": 0.5})
    names[S - 1] = names[S + 1] = Counter({"T": 1})
    return {"h": h, "heads": heads, "kv": kv}, names


class Symbols(LiveBytes):
    """Live bytes as a sum of products of dimensions."""

    def __init__(self, names: dict[int, Vector]) -> None:
        super().__init__(1)
        self.names = names
        self.vector: Vector = Counter()
        self.moments: dict[str, list[Vector]] = {}
        self.reference: Vector = Counter()

    def add(self, tensor: torch.Tensor) -> None:
        """Count a storage under the product of its first tensor's dimensions."""
        import weakref

        storage = tensor.untyped_storage()
        if storage in self.seen:
            return
        parts = self.product(tuple(tensor.shape), tensor.element_size(), storage.nbytes())
        self.seen[storage] = weakref.ref(storage, lambda _: self.vector.subtract(parts))
        self.vector.update(parts)
        self._note(0)

    def product(self, shape: tuple[int, ...], width: int, size: int) -> Vector:
        """Return bytes by product of dimensions."""
        found: Vector = Counter({"": width})
        numbers = width
        for length in shape:
            numbers *= length
            known = self.names.get(length)
            if known is None:
                known = Counter({"": length})
            merged: Vector = Counter()
            for a, x in found.items():
                for b, y in known.items():
                    merged[together(a + b)] += x * y
            found = merged
        if numbers != size:  # a view was seen first
            return Counter({k: v * size / numbers for k, v in found.items()})
        return found

    def _note(self, more: float) -> None:
        if self.phase in self.moments:
            keep(self.moments[self.phase], difference(self.vector, self.reference))

    def enter(self, phase: str) -> None:
        """Begin a phase; moments are counted from here."""
        self.phase = phase
        self.moments[phase] = []
        self.reference = Counter(self.vector)
        self._note(0)

    def go_on(self, phase: str) -> None:
        """Begin a phase whose moments are counted from where the last one's were."""
        self.phase = phase
        self.moments[phase] = []
        self._note(0)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204 - torch's
        """Also count what bitsandbytes takes and gives back inside."""
        out = super().__torch_dispatch__(func, types, args, kwargs)
        name = func._schema.name
        if name == "bitsandbytes::gemm_4bit":
            shape, block = args[2], args[4]
            more = self.product(tuple(shape), 2, 2 * shape[0] * shape[1])
            if (kwargs or {}).get("absmax_8bit") is not None:
                scale = self.product(tuple(shape), 1, shape[0] * shape[1])
                more.update({k: 4 * v / block for k, v in scale.items()})
            self.vector.update(more)
            self._note(0)
            self.vector.subtract(more)
        elif name == "bitsandbytes::int8_scaled_mm":
            rows, columns = args[0].numel() // args[0].shape[-1], args[1].shape[0]
            more = self.product((rows, columns), 4, 4 * rows * columns)
            self.vector.update(more)
            self._note(0)
            self.vector.subtract(more)
        else:
            assert name not in INSIDE
        return out


def together(symbols: str) -> str:
    """Return a product in order; heads x width of a head are the width of all heads."""
    for heads, width in (("n", "q"), ("j", "k")):
        if heads in symbols and "d" in symbols:
            symbols = symbols.replace(heads, "", 1).replace("d", width, 1)
    return "".join(sorted(symbols))


def difference(a: Vector, b: Vector) -> Vector:
    """Return a - b without what is zero."""
    return Counter({k: a[k] - b[k] for k in {*a, *b} if abs(a[k] - b[k]) > 1e-6})


def keep(found: list[Vector], new: Vector) -> None:
    """Add a moment unless another exceeds it in every term; drop those that it exceeds."""
    relevant = Counter({k: v for k, v in new.items() if "T" in k or len(k) > 1})
    for old in found:
        if all(old[k] >= v for k, v in relevant.items()) and all(
            old[k] >= 0 for k in old if k not in relevant
        ):
            return
    found[:] = [old for old in found if not all(relevant[k] >= old[k] for k in {*old, *relevant})]
    found.append(relevant)


REGIMES: dict[str, dict[str, Any]] = {
    "adapter": {},
    "adapter float32": {"dtype": "float32"},
    "adapter cpu": {"dtype": "float32", "autocast": None, "device": "cpu"},
    "nf4-double": {"quantization": "nf4-double"},
    "int8": {"quantization": "int8"},
    "full": {"adapter": None, "dtype": "float32"},
    "full half": {"adapter": None},
    "full cpu": {"adapter": None, "dtype": "float32", "autocast": None, "device": "cpu"},
}
LORA = {"peft_type": "LORA", "r": R, "target_modules": "all-linear"}


def config_of(family: str, sizes: dict[str, int]) -> dict[str, Any]:
    """Return a config.json of a family at the sizes."""
    h, heads, kv = sizes["h"], sizes["heads"], sizes["kv"]
    if family == "gpt2":
        rest = {"n_embd": h, "n_inner": F, "n_layer": DEPTH, "n_head": heads, "n_positions": 2048}
        return {"model_type": family, "vocab_size": V, **rest}
    if family == "bloom":
        return {
            "model_type": family,
            "hidden_size": h,
            "n_layer": DEPTH,
            "n_head": heads,
            "vocab_size": V,
        }
    common = {
        "hidden_size": h,
        "intermediate_size": F,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": V,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }
    extra: dict[str, dict[str, Any]] = {
        "opt": {"ffn_dim": F, "word_embed_proj_dim": h, "max_position_embeddings": 2048},
        "falcon": {"ffn_hidden_size": F},
        "phi": {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.489,
            }
        },
        "glm": {"attention_bias": True, "pad_token_id": 0, "eos_token_id": 1},
        "phi3": {"pad_token_id": 0, "sliding_window": None},
        "smollm3": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    }
    head_dim = {} if family in (*SQUARE, "phi") else {"head_dim": D}
    return {"model_type": family, **common, **head_dim, **extra.get(family, {})}


@contextmanager
def marked(model: torch.nn.Module, count: Symbols, seen: dict[str, Vector]) -> Iterator[None]:
    """Note the live vector at the middle layer's edges, forward and backward."""
    layers = decoder_layers(model, DEPTH)
    middle = layers[1]

    def first(args: tuple, kwargs: dict) -> torch.Tensor:
        tensor = args[0] if args else kwargs["hidden_states"]
        return tensor[0] if isinstance(tensor, tuple) else tensor

    def before(_module: object, args: tuple, kwargs: dict) -> None:
        tensor = first(args, kwargs)
        seen["input"] = count.product(tuple(tensor.shape), tensor.element_size(), tensor.nbytes)
        count.enter("layer forward")
        seen["entered"] = Counter(count.vector)
        tensor.register_hook(lambda _: count.enter("after"))

    def after(_module: object, _args: tuple, _kwargs: dict, output: Any) -> None:  # noqa: ANN401
        tensor = output[0] if isinstance(output, tuple) else output
        count.enter("between")
        tensor.register_hook(lambda _: count.enter("layer backward"))

    def following(_module: object, _args: tuple, _kwargs: dict) -> None:
        seen["left"] = Counter(count.vector)

    def last(_module: object, _args: tuple, _kwargs: dict, output: Any) -> None:  # noqa: ANN401
        tensor = output[0] if isinstance(output, tuple) else output
        count.enter("head forward")
        tensor.register_hook(lambda _: count.enter("last backward"))

    handles = [
        middle.register_forward_pre_hook(before, with_kwargs=True),
        middle.register_forward_hook(after, with_kwargs=True),
        layers[2].register_forward_pre_hook(following, with_kwargs=True),
        layers[-1].register_forward_hook(last, with_kwargs=True),
    ]
    yield
    for handle in handles:
        handle.remove()


def read(family: str, regime: str, *, fused: bool) -> dict[str, Any]:
    """Return the moments of a family in a regime, as products of dimensions and bytes."""
    sizes, names = dimensions(family in (*SQUARE, "phi"))
    case = TraceCase.model_validate(
        {
            "config": config_of(family, sizes),
            "adapter": LORA,
            "length": S,
            "checkpointing": False,
            "fused_loss": fused,
            "attention": "eager" if family in ("gemma2", "bloom") else "sdpa",
            **REGIMES[regime],
        }
    )
    model = build(case, DEPTH)
    count = Symbols(names)
    seen: dict[str, Vector] = {}
    with like_on(case.device, case.attention), FakeTensorMode():
        tensors = give_fake_storages(model)
        with marked(model, count, seen), count:
            for tensor in tensors:
                count.add(tensor)
            baseline = Counter(count.vector)
            count.enter("first")
            ids = torch.zeros(1, S, dtype=torch.long)
            kwargs = {"fused_lm_head": True} if fused else {}
            with torch.autocast(
                "cpu",
                getattr(torch, case.autocast or "bfloat16"),
                enabled=case.autocast is not None,
            ):
                output = model(input_ids=ids, labels=ids, use_cache=False, **kwargs)
            loss = output.loss
            output = None
            count.go_on("head backward")
            loss.backward()
    return {
        "start": clean(difference(seen["entered"], baseline)),
        "input": clean(seen["input"]),
        "saved": clean(difference(seen["left"], seen["entered"])),
        "forward": [clean(x) for x in count.moments["layer forward"]],
        "backward": [clean(x) for x in count.moments["layer backward"]],
        "head forward": [clean(x) for x in count.moments["head forward"]],
        "head backward": [clean(x) for x in count.moments["head backward"]],
    }


def clean(vector: Vector) -> dict[str, float]:
    """Return terms in order, without dust."""
    return {
        k: round(v, 4)
        for k, v in sorted(vector.items())
        if abs(v) > 1e-4 and ("T" in k or len(k) > 1)
    }


def pruned(entry: dict[str, Any]) -> dict[str, Any]:
    """Keep the moments that are the largest for some dimensions that a model may have."""
    rng = random.Random(0)
    samples = []
    for _ in range(3000):
        h, d = rng.choice((512, 1024, 2048, 4096, 8192)), rng.choice((64, 96, 128, 256))
        n = max(1, round(h / d * rng.choice((0.5, 1, 1, 2))))
        j = max(1, n // rng.choice((1, 1, 2, 4, 8)))
        sizes = {"h": h, "d": d, "n": n, "j": j, "q": n * d, "k": j * d}
        sizes |= {
            "f": h * rng.choice((2, 2.7, 3.5, 4, 5.5, 8)),
            "r": rng.choice((1, 8, 16, 64, 256)),
        }
        sizes |= {"V": rng.choice((16_000, 50_000, 128_000, 256_000)), "c": 32768}
        samples.append(sizes | {"T": 2 ** rng.uniform(4, 16)})
    table = {x: np.array([sample[x] for sample in samples]) for x in samples[0]}
    found = dict(entry)
    for part, moments in entry.items():
        if isinstance(moments, list) and len(moments) > 1:
            worth = np.stack(
                [
                    sum(c * math.prod(table[x] for x in key) for key, c in moment.items())
                    + np.zeros(len(samples))
                    for moment in moments
                ]
            )
            found[part] = [moments[i] for i in sorted(set(worth.argmax(axis=0).tolist()))]
    return found


FAMILIES = (
    *("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2", "glm"),
    *("gpt2", "gpt_neox", "opt", "phi", "falcon", "bloom"),
)


def main() -> None:
    """Read what is missing, family by family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=FAMILIES)
    parser.add_argument("--output", type=Path, default=ASSET)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    arguments = parser.parse_args()
    asset = arguments.output
    found = json.loads(asset.read_text(encoding="utf-8")) if asset.is_file() else {}
    for family in arguments.families:
        for regime in REGIMES:
            key = f"{family} {regime}"
            if key in found:
                continue
            try:
                found[key] = read(family, regime, fused=True)
                if family in ("llama", "gemma2"):
                    plain = read(family, regime, fused=False)
                    for part in ("head forward", "head backward"):
                        found[key][f"plain {part}"] = plain[part]
            except Exception as error:
                print(key, type(error).__name__, str(error)[:200])  # noqa: T201
                continue
            found[key] = pruned(found[key])
            print(key, found[key]["saved"])  # noqa: T201
            asset.write_text(
                "{\n"
                + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
                + "\n}\n"
            )


if __name__ == "__main__":
    main()
