"""Architecture: a config.json or a name from the catalogue becomes dimensions and linear layers.

Everything later estimates rest on (parameters, memory, FLOPs) follows from these. Counts equal those
of the real classes of transformers 5.23, built on the meta device in a test.

Model types that are not listed in `tasks/assets/models.yaml` are refused: a guess would be wrong in
every figure that follows from it.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import Linear, Record
from tasks.errors import ModelError

__all__ = ["Architecture", "architecture", "catalogue", "from_config", "read_asset"]

ASSETS = Path(__file__).resolve().parents[1] / "assets"


class Architecture(Record):
    """The dimensions of a decoder; `linears` are those inside its layers, without the head.

    `other_parameters` are norms, biases and position embeddings.
    """

    name: str
    model_type: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    max_positions: int | None
    linears: tuple[Linear, ...]
    other_parameters: int

    @property
    def q_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of all key heads together."""
        return self.kv_heads * self.head_dim

    @property
    def linear_parameters(self) -> int:
        """Parameters of the linear layers, without the head: what 4-bit packs, what LoRA adapts."""
        return sum(x.in_features * x.out_features * x.count for x in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding, and of the head unless it is tied to it."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """All parameters; a tied head is counted once, as PyTorch does."""
        return self.linear_parameters + self.embedding_parameters + self.other_parameters

    @property
    def product_parameters(self) -> int:
        """Parameters in matrix products, with the head: what a token costs (methods.md 5.1)."""
        return self.linear_parameters + self.vocabulary * self.hidden


@cache
def read_asset(name: str) -> Any:  # noqa: ANN401 - the caller knows its file's shape
    """Return a YAML file of `tasks/assets`; read once."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with (ASSETS / name).open(encoding="utf-8") as file:
        return yaml.load(file, Loader=loader)


def catalogue() -> tuple[str, ...]:
    """Return the names of the models that need no download."""
    return tuple(read_asset("models.yaml")["models"])


def architecture(name: str) -> Architecture:
    """Return a model of the catalogue, by its name there or its Hub id.

    Raises:
        ModelError: No such name; the message has the nearest ones.
    """
    models = read_asset("models.yaml")["models"]
    sources = {entry["source"].lower(): key for key, entry in models.items()}
    key = name.lower().strip()
    key = sources.get(key, key)
    if key not in models:
        near = difflib.get_close_matches(key, models, 1)
        raise ModelError(
            f"model: {name}: not in the catalogue and no folder with a config.json. "
            + (f"Did you mean {near[0]}? " if near else "")
            + f"Models: {', '.join(models)}."
        )
    entry = models[key]
    names = (
        *("hidden_size", "intermediate_size", "num_hidden_layers"),
        *("num_attention_heads", "num_key_value_heads", "vocab_size"),
    )
    config = dict(zip(names, entry["dimensions"], strict=True))
    config |= {
        "model_type": entry.get("type", "llama"),
        "tie_word_embeddings": entry.get("tied", False),
    }
    return from_config(config, key)


def from_config(config: dict[str, Any], name: str) -> Architecture:
    """Return the architecture that a config.json describes.

    Args:
        config: The file's content.
        name: What messages call the model.

    Raises:
        ModelError: A model type that is not known here, or a dimension that is missing.
    """
    kind = config.get("model_type")
    if kind == "gpt2":
        return _gpt2(config, name)
    families = read_asset("models.yaml")["families"]
    if kind not in families:
        known = ", ".join(sorted([*families, "gpt2"]))
        raise ModelError(
            f"{name}: config.json: model_type = {kind!r} is not a decoder whose memory can be "
            f"estimated here. Known: {known}. Choose a model of one of those, or add its type to "
            "tasks/assets/models.yaml."
        )
    return _llama_like(config, name, families[kind])


def _dimension(config: dict[str, Any], key: str, name: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(
            f"{name}: config.json: {key} = {value!r} must be a whole number above 0. "
            "The file is damaged or not that of a causal language model."
        )
    return value


def _llama_like(config: dict[str, Any], name: str, family: dict[str, Any]) -> Architecture:
    hidden = _dimension(config, "hidden_size", name)
    middle = _dimension(config, "intermediate_size", name)
    layers = _dimension(config, "num_hidden_layers", name)
    heads = _dimension(config, "num_attention_heads", name)
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or family.get("head_dim") or hidden // heads
    q, kv = heads * head_dim, kv_heads * head_dim
    if family.get("fused"):
        attention = {"qkv_proj": (hidden, q + 2 * kv), "o_proj": (q, hidden)}
        mlp = {"gate_up_proj": (hidden, 2 * middle), "down_proj": (middle, hidden)}
    else:
        attention = {"q_proj": (hidden, q), "k_proj": (hidden, kv), "v_proj": (hidden, kv)}
        attention |= {"o_proj": (q, hidden)}
        mlp = dict.fromkeys(("gate_proj", "up_proj"), (hidden, middle))
        mlp |= {"down_proj": (middle, hidden)}
    shapes = {f"self_attn.{x}": shape for x, shape in attention.items()}
    shapes |= {f"mlp.{x}": shape for x, shape in mlp.items()}

    def has(which: str, key: str) -> bool:
        return family[which] == "always" or (family[which] == "config" and bool(config.get(key)))

    other = family["norms"] * hidden
    other += {"none": 0, "head": 2 * head_dim, "width": q + kv}[family["qk_norm"]]
    other += (q + 2 * kv) * has("qkv_bias", "attention_bias")
    other += hidden * has("o_bias", "attention_bias")
    other += (2 * middle + hidden) * has("mlp_bias", "mlp_bias")
    return Architecture(
        name=name,
        model_type=config["model_type"],
        hidden=hidden,
        intermediate=middle,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=_dimension(config, "vocab_size", name),
        tied=bool(config.get("tie_word_embeddings", family["tied"])),
        max_positions=config.get("max_position_embeddings"),
        linears=_linears(shapes, layers),
        other_parameters=other * layers + hidden,
    )


def _gpt2(config: dict[str, Any], name: str) -> Architecture:
    """GPT-2: fused attention, an MLP without gate, biases everywhere, learned positions."""
    hidden = _dimension(config, "n_embd", name)
    layers = _dimension(config, "n_layer", name)
    heads = _dimension(config, "n_head", name)
    positions = _dimension(config, "n_positions", name)
    middle = config.get("n_inner") or 4 * hidden
    shapes = {"attn.c_attn": (hidden, 3 * hidden), "attn.c_proj": (hidden, hidden)}
    shapes |= {"mlp.c_fc": (hidden, middle), "mlp.c_proj": (middle, hidden)}
    biases = sum(out for _, out in shapes.values())
    return Architecture(
        name=name,
        model_type="gpt2",
        hidden=hidden,
        intermediate=middle,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        vocabulary=_dimension(config, "vocab_size", name),
        tied=bool(config.get("tie_word_embeddings", True)),
        max_positions=positions,
        linears=_linears(shapes, layers),
        other_parameters=layers * (4 * hidden + biases) + 2 * hidden + positions * hidden,
    )


def _linears(shapes: dict[str, tuple[int, int]], layers: int) -> tuple[Linear, ...]:
    return tuple(
        Linear(name=name, in_features=i, out_features=o, count=layers)
        for name, (i, o) in shapes.items()
    )
