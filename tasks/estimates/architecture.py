"""Architecture: a config.json or a name from the catalogue becomes dimensions and linear layers.

Everything later estimates rest on (parameters, memory, FLOPs) follows from these. Counts equal those
of the real classes of transformers 5.23, built on the meta device in a test.

Model types that are not listed in `tasks/assets/models.yaml` are refused: a guess would be wrong in
every figure that follows from it.
"""

from __future__ import annotations

import difflib
import json
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import Linear, Record
from tasks.errors import ModelError
from tasks.estimates.families import LAYOUTS, Dimensions

__all__ = [
    "Architecture",
    "CatalogueModel",
    "architecture",
    "catalogue",
    "from_config",
    "list_models",
    "read_asset",
]

ASSETS = Path(__file__).resolve().parents[1] / "assets"

#: Names of the six dimensions in most config.json files.
KEYS = (
    *("hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "vocab_size"),
)


class Architecture(Record):
    """The dimensions of a decoder; `linears` are those inside its layers, without the head.

    `other_parameters` are norms, biases, position embeddings and a mixture's experts; of them
    `outside_parameters` stand in no layer, and `position_parameters` are among those; of
    `expert_parameters` a token uses `active_share`. `config` is the model's config.json as text,
    with which the real class can be built; empty where transformers has none. `labels` are those of
    a classification head, which then stands in place of the word head; 0: a language model.
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
    outside_parameters: int = 0
    position_parameters: int = 0
    experts: tuple[Linear, ...] = ()
    expert_parameters: int = 0
    active_share: float = 1.0
    active_experts: int = 1
    config: str = ""
    labels: int = 0

    def __hash__(self) -> int:
        """Hash the whole record once: it is a key of what is computed from it again and again."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, name) for name in Architecture.model_fields))

    @property
    def q_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of all key heads together."""
        return self.kv_heads * self.head_dim

    @cached_property
    def linear_parameters(self) -> int:
        """Parameters of the linear layers, without the head: what 4-bit packs, what LoRA adapts."""
        return sum(x.in_features * x.out_features * x.count for x in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding, and of the head unless it is tied to it."""
        return self.vocabulary * self.hidden * (1 if self.tied or self.labels else 2)

    @property
    def score_parameters(self) -> int:
        """Parameters of the classification head, one linear layer without a bias; else 0."""
        return self.labels * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters; a tied head is counted once, as PyTorch does."""
        words = self.embedding_parameters + self.score_parameters
        return self.linear_parameters + words + self.other_parameters

    @property
    def product_parameters(self) -> int:
        """Parameters in matrix products, with the head: what a token costs (methods.md 5.1)."""
        active = round(self.expert_parameters * self.active_share)
        return self.linear_parameters + active + (self.labels or self.vocabulary) * self.hidden

    def with_labels(self, labels: int) -> Architecture:
        """Return the decoder with a classification head; a ModelError if transformers has none."""
        family = read_asset("models.yaml")["families"][self.model_type]
        if not family.get("classifies", True):
            raise ModelError(
                f"{self.name}: transformers has no classification head for {self.model_type}. Take "
                "another base model, or task_type: CAUSAL_LM, which learns labels as answers."
            )
        fields = {name: getattr(self, name) for name in Architecture.model_fields}
        bias = self.vocabulary if family.get("layout") == "phi" else 0  # of the word head
        fields |= {name: fields[name] - bias for name in ("other_parameters", "outside_parameters")}
        return Architecture.model_validate(fields | {"labels": labels, "tied": False})


class CatalogueModel(Record):
    """A row of the catalogue, as a list shows it."""

    name: str
    parameters: int
    layers: int
    hidden: int
    vocabulary: int
    source: str
    published: int | None
    cited: str | None


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
    return _of_catalogue(key)


@cache
def _of_catalogue(key: str) -> Architecture:
    asset = read_asset("models.yaml")
    entry = asset["models"][key]
    kind = entry.get("type", "llama")
    family = asset["families"][kind]
    names = family.get("keys", KEYS)
    config = {k: v for k, v in zip(names, entry["dimensions"], strict=True) if k != "-"}
    config |= {
        "model_type": kind,
        "tie_word_embeddings": entry.get("tied", False),
        **entry.get("more", {}),
    }
    return from_config(config, key)


def list_models() -> tuple[CatalogueModel, ...]:
    """Return every model of the catalogue with its size and whose count it was checked against."""
    asset = read_asset("models.yaml")
    found = []
    for name, entry in asset["models"].items():
        model = architecture(name)
        found.append(
            CatalogueModel(
                name=name,
                parameters=model.parameters,
                layers=model.layers,
                hidden=model.hidden,
                vocabulary=model.vocabulary,
                source=entry["source"],
                published=entry["published"],
                cited=asset["citations"][entry["cited"]] if "cited" in entry else None,
            )
        )
    return tuple(found)


def from_config(config: dict[str, Any], name: str) -> Architecture:
    """Return the architecture that a config.json describes.

    Args:
        config: The file's content.
        name: What messages call the model.

    Raises:
        ModelError: A model type that is not known here, or a dimension that is missing.
    """
    kind = config.get("model_type")
    families = read_asset("models.yaml")["families"]
    if kind not in families:
        raise ModelError(
            f"{name}: config.json: model_type = {kind!r} is not a decoder whose memory can be "
            f"estimated here. Known: {', '.join(sorted(families))}. Choose a model of one of those, "
            "or add its type to tasks/assets/models.yaml."
        )
    family = families[kind]
    sizes = _dimensions(config, name, family)
    layer = LAYOUTS[family.get("layout", "llama")](sizes, family, config)
    many = max((n for _, _, n in layer.experts.values()), default=0) // 2
    return Architecture(
        name=name,
        model_type=str(kind),
        hidden=sizes.hidden,
        intermediate=sizes.intermediate,
        layers=sizes.layers,
        heads=sizes.heads,
        kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        vocabulary=sizes.vocabulary,
        tied=bool(config.get("tie_word_embeddings", family["tied"])),
        max_positions=config.get("max_position_embeddings") or config.get("n_positions"),
        linears=tuple(
            Linear(name=x, in_features=i, out_features=o, count=sizes.layers)
            for x, (i, o) in layer.shapes.items()
        ),
        other_parameters=layer.other * sizes.layers + layer.outside,
        outside_parameters=layer.outside,
        position_parameters=layer.positions,
        experts=tuple(
            Linear(name=x, in_features=i, out_features=o, count=n * sizes.layers)
            for x, (i, o, n) in layer.experts.items()
        ),
        expert_parameters=3 * sizes.hidden * sizes.intermediate * many * sizes.layers,
        active_share=config.get("num_experts_per_tok", 2) / many if many else 1.0,
        active_experts=config.get("num_experts_per_tok", 2) if many else 1,
        config=json.dumps(config, sort_keys=True) if family.get("trains", True) else "",
    )


def _dimensions(config: dict[str, Any], name: str, family: dict[str, Any]) -> Dimensions:
    hidden_key, middle_key, layers_key, heads_key, kv_key, vocabulary_key = family.get("keys", KEYS)
    hidden = _dimension(config, hidden_key, name)
    if middle_key in ("-", "n_inner", "ffn_hidden_size"):
        middle = config.get(middle_key) or 4 * hidden
    else:
        middle = _dimension(config, middle_key, name)
    layers = _dimension(config, layers_key, name)
    heads = _dimension(config, heads_key, name)
    kv_heads = heads if kv_key == "-" else config.get(kv_key) or heads
    if family.get("layout") == "falcon" and not config.get("new_decoder_architecture"):
        kv_heads = 1 if config.get("multi_query", True) else heads
    return Dimensions(
        hidden=hidden,
        intermediate=middle,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=config.get("head_dim") or family.get("head_dim") or hidden // heads,
        vocabulary=_dimension(config, vocabulary_key, name),
    )


def _dimension(config: dict[str, Any], key: str, name: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(
            f"{name}: config.json: {key} = {value!r} must be a whole number above 0. "
            "The file is damaged or not that of a causal language model."
        )
    return value
