"""Families: how a config.json's dimensions become linear layers, by kind of decoder.

A layout returns a layer's linear layers as {name: (in, out)}, and the numbers in a layer that are
in none of them (norms, biases), read off the classes of transformers 5.23. Whole models are built
from them in `tasks/estimates/architecture.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["LAYOUTS", "Dimensions", "Layer"]


class Dimensions(NamedTuple):
    """The dimensions that every decoder has."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int

    @property
    def q(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """Width of all key heads together."""
        return self.kv_heads * self.head_dim


class Layer(NamedTuple):
    """A layer's linear layers, its other numbers, and those outside the layers (without the words).

    `experts` are {name: (in, out, count)}: products of a mixture, one tensor for all experts, which
    PEFT adapts and bitsandbytes leaves alone.
    """

    shapes: dict[str, tuple[int, int]]
    other: int
    outside: int
    experts: dict[str, tuple[int, int, int]] = {}  # noqa: RUF012 - never changed
    positions: int = 0


def _llama(d: Dimensions, family: dict[str, Any], config: dict[str, Any]) -> Layer:
    h, f, q, kv = d.hidden, d.intermediate, d.q, d.kv
    if family.get("fused"):
        shapes = {"self_attn.qkv_proj": (h, q + 2 * kv), "self_attn.o_proj": (q, h)}
    else:
        shapes = {
            f"self_attn.{x}_proj": (h, width) for x, width in zip("qkv", (q, kv, kv), strict=True)
        }
        shapes["self_attn.o_proj"] = (q, h)
    if family.get("fused") or family.get("fused_mlp"):
        shapes["mlp.gate_up_proj"] = (h, 2 * f)
    else:
        shapes |= {"mlp.gate_proj": (h, f), "mlp.up_proj": (h, f)}
    shapes["mlp.down_proj"] = (f, h)
    return Layer(shapes, _norms_and_biases(d, family, config), h)


def _norms_and_biases(d: Dimensions, family: dict[str, Any], config: dict[str, Any]) -> int:
    def has(which: str, key: str) -> bool:
        return family[which] == "always" or (family[which] == "config" and bool(config.get(key)))

    other = family["norms"] * d.hidden
    other += {"none": 0, "head": 2 * d.head_dim, "width": d.q + d.kv}[family["qk_norm"]]
    other += (d.q + 2 * d.kv) * has("qkv_bias", "attention_bias")
    other += d.hidden * has("o_bias", "attention_bias")
    return other + (2 * d.intermediate + d.hidden) * has("mlp_bias", "mlp_bias")


def _moe(d: Dimensions, family: dict[str, Any], config: dict[str, Any]) -> Layer:
    """Llama's attention, a router, and experts whose gate and up stand in one tensor."""
    h, f = d.hidden, d.intermediate
    count = config.get("num_local_experts") or config.get("num_experts") or 8
    shapes = {f"self_attn.{x}_proj": (h, w) for x, w in zip("qkv", (d.q, d.kv, d.kv), strict=True)}
    shapes["self_attn.o_proj"] = (d.q, h)
    experts = {
        "mlp.gate": (h, count, 1),
        # Gate and up have an adapter each, in one tensor of twice the rank (PEFT 0.21).
        "mlp.experts.gate_up_proj": (h, 2 * f, 2 * count),
        "mlp.experts.down_proj": (f, h, count),
    }
    other = _norms_and_biases(d, family, config) + count * h + 3 * count * h * f
    return Layer(shapes, other, h, experts)


def _gpt2(d: Dimensions, _family: dict[str, Any], config: dict[str, Any]) -> Layer:
    """Fused attention, an MLP without gate, biases everywhere, learned positions."""
    h, f = d.hidden, d.intermediate
    shapes = {"attn.c_attn": (h, 3 * h), "attn.c_proj": (h, h)}
    shapes |= {"mlp.c_fc": (h, f), "mlp.c_proj": (f, h)}
    positions = (config.get("n_positions") or 1024) * h
    return Layer(shapes, 4 * h + _outputs(shapes), 2 * h + positions, positions=positions)


def _gpt_neox(d: Dimensions, _family: dict[str, Any], config: dict[str, Any]) -> Layer:
    h = d.hidden
    attention = {"attention.query_key_value": (h, 3 * h), "attention.dense": (h, h)}
    mlp = {"mlp.dense_h_to_4h": (h, d.intermediate), "mlp.dense_4h_to_h": (d.intermediate, h)}
    biased = mlp if config.get("attention_bias") is False else attention | mlp
    return Layer(attention | mlp, 4 * h + _outputs(biased), 2 * h)


def _opt(d: Dimensions, _family: dict[str, Any], config: dict[str, Any]) -> Layer:
    h, f = d.hidden, d.intermediate
    shapes = {f"self_attn.{x}": (h, h) for x in ("k_proj", "v_proj", "q_proj", "out_proj")}
    shapes |= {"fc1": (h, f), "fc2": (f, h)}
    positions = ((config.get("max_position_embeddings") or 2048) + 2) * h
    return Layer(shapes, 4 * h + _outputs(shapes), 2 * h + positions, positions=positions)


def _falcon(d: Dimensions, _family: dict[str, Any], config: dict[str, Any]) -> Layer:
    h, f = d.hidden, d.intermediate
    new = bool(config.get("new_decoder_architecture"))
    multi = new or config.get("multi_query", True)
    shapes = {
        "self_attention.query_key_value": (h, d.q + 2 * d.kv if multi else 3 * h),
        "self_attention.dense": (h, h),
        "mlp.dense_h_to_4h": (h, f),
        "mlp.dense_4h_to_h": (f, h),
    }
    norms = 4 if new or not config.get("parallel_attn", True) else 2
    return Layer(shapes, norms * h + (_outputs(shapes) if config.get("bias") else 0), 2 * h)


def _bloom(d: Dimensions, _family: dict[str, Any], _config: dict[str, Any]) -> Layer:
    h, f = d.hidden, d.intermediate
    shapes = {"self_attention.query_key_value": (h, 3 * h), "self_attention.dense": (h, h)}
    shapes |= {"mlp.dense_h_to_4h": (h, f), "mlp.dense_4h_to_h": (f, h)}
    return Layer(shapes, 4 * h + _outputs(shapes), 4 * h)


def _phi(d: Dimensions, _family: dict[str, Any], _config: dict[str, Any]) -> Layer:
    h, f = d.hidden, d.intermediate
    shapes = {f"self_attn.{x}_proj": (h, w) for x, w in zip("qkv", (d.q, d.kv, d.kv), strict=True)}
    shapes |= {"self_attn.dense": (d.q, h), "mlp.fc1": (h, f), "mlp.fc2": (f, h)}
    return Layer(shapes, 2 * h + _outputs(shapes), 2 * h + d.vocabulary)


def _chatglm(d: Dimensions, _family: dict[str, Any], _config: dict[str, Any]) -> Layer:
    h, f = d.hidden, d.intermediate
    shapes = {"self_attention.query_key_value": (h, d.q + 2 * d.kv)}
    shapes |= {"self_attention.dense": (d.q, h), "mlp.dense_h_to_4h": (h, 2 * f)}
    shapes["mlp.dense_4h_to_h"] = (f, h)
    return Layer(shapes, 2 * h + d.q + 2 * d.kv, h)


def _outputs(shapes: dict[str, tuple[int, int]]) -> int:
    """Return the size of a bias for each linear layer."""
    return sum(out for _, out in shapes.values())


LAYOUTS: dict[str, Callable[[Dimensions, dict[str, Any], dict[str, Any]], Layer]] = {
    "llama": _llama,
    "moe": _moe,
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "opt": _opt,
    "falcon": _falcon,
    "bloom": _bloom,
    "phi": _phi,
    "chatglm": _chatglm,
}
