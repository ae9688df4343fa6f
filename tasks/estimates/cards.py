"""Cards: the catalogue of GPUs, with the user's own cards and prices over it.

What a process can use, what a card can do at most, what an hour costs, and where each figure comes
from: `tasks/assets/hardware.yaml`. A price without source and date is none.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from tasks.contracts import Record
from tasks.errors import RecipeError
from tasks.estimates.architecture import read_asset

__all__ = [
    "USABLE_SHARE",
    "Card",
    "cards",
    "find",
    "list_gpus",
    "names",
    "normal",
    "peaks",
    "price",
    "sizes",
    "which_size",
]

#: Heuristic: what a process can use of a card that is not in the catalogue.
USABLE_SHARE = 0.975
#: What a line of the user's own file may say.
CARD_KEYS = {"memory_gb", "usable_gib", "tflops", "gbs", "usd", "kind", "bf16", "aliases"}


class Card(Record):
    """A row of the catalogue, as a list shows it; `gbs` is memory bandwidth in GB/s."""

    name: str
    memory_gb: float
    usable_gib: float
    tflops: float | None
    gbs: float | None
    usd_per_hour: tuple[float, float] | None
    price_source: str
    specs_source: str
    bf16: bool


def cards() -> dict[str, dict[str, Any]]:
    """Return the catalogue by name, with the user's own cards and prices over it."""
    return _cards(os.environ.get("FINETUNE_HARDWARE"))


@cache
def _cards(own: str | None) -> dict[str, dict[str, Any]]:
    """Return the shipped cards with those of the user's file, whose keys win.

    Raises:
        RecipeError: The user's file is not YAML with cards, or a new card says too little.
    """
    known = {name: dict(entry) for name, entry in read_asset("hardware.yaml")["cards"].items()}
    path = Path(own) if own else Path.home() / ".config/finetune-workflow/hardware.yaml"
    if not path.is_file():
        if own:
            raise RecipeError(f"FINETUNE_HARDWARE = {own}: no such file.")
        return known
    for name, entry in _own_cards(path).items():
        merged = known.get(name, {"kind": "unknown"}) | entry
        memory = merged.get("memory_gb")
        if memory is None:
            raise RecipeError(f"{path}: cards.{name}: memory_gb is missing: its memory in GB.")
        merged.setdefault("usable_gib", round(float(memory) * USABLE_SHARE, 2))
        if "usd" in entry:
            usd = entry["usd"]
            merged["usd"] = usd if isinstance(usd, list) else [usd, usd]
            merged["priced"] = f"your {path.name}"
        known[normal(name)] = merged
    return known


def _own_cards(path: Path) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from None
    found = content.get("cards") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not all(isinstance(x, dict) for x in found.values()):
        raise RecipeError(
            f"{path}: has no cards. Write cards: and below it a line for each, such as "
            "my-card: {memory_gb: 24, usd: 0.4}."
        )
    for name, entry in found.items():
        wrong = sorted(set(entry) - CARD_KEYS)
        if wrong:
            allowed = ", ".join(sorted(CARD_KEYS))
            raise RecipeError(f"{path}: cards.{name}: {', '.join(wrong)}: not one of {allowed}.")
    return found


def list_gpus() -> tuple[Card, ...]:
    """Return every card with what it can do, its price, and where both come from."""
    return tuple(
        Card(
            name=name,
            memory_gb=entry["memory_gb"],
            usable_gib=entry["usable_gib"],
            tflops=entry.get("tflops"),
            gbs=entry.get("gbs"),
            usd_per_hour=price(entry)[0],
            price_source=price(entry)[1],
            specs_source=_specs(entry),
            bf16=entry.get("bf16", True),
        )
        for name, entry in cards().items()
    )


def _specs(entry: dict[str, Any]) -> str:
    known = read_asset("hardware.yaml")["specs"]
    return known.get(entry.get("specs"), "vendor's data sheet, from memory: not verified")


def price(entry: dict[str, Any]) -> tuple[tuple[float, float] | None, str]:
    """Return lowest and highest dollars per GPU-hour, and whose they are; None if unknown."""
    usd = entry.get("usd")
    if usd is None:
        return None, "no price known"
    source = read_asset("hardware.yaml")["prices"].get(entry["priced"], entry["priced"])
    return (float(usd[0]), float(usd[1])), source


def peaks() -> tuple[float, float]:
    """Return the slowest and the fastest peak of the shipped cards."""
    peaks = [entry["tflops"] for entry in read_asset("hardware.yaml")["cards"].values()]
    return min(peaks), max(peaks)


def normal(name: str) -> str:
    """`NVIDIA GeForce RTX 4090` and `rtx_4090` become `rtx-4090`."""
    words = re.sub(r"[\s_]+", "-", name.strip().lower())
    return re.sub(r"\b(nvidia|geforce|tesla|quadro)-", "", words)


def names(key: str, entry: dict[str, Any]) -> set[str]:
    """Return all names of a card."""
    return {key, *entry.get("aliases", ())}


def find(name: str) -> str | None:
    """Return the catalogue's name of a card; None if there is no such card.

    What a name says besides, is taken off if nothing is called so: `A100 80GB PCIe`, `a100:80gb`
    and `A100-SXM` are cards by their size or by what is left.
    """
    wanted = normal(name)
    if exact := _named(wanted):
        return exact
    plain, size = _without_memory(wanted)
    for stem in dict.fromkeys((plain, _without_form(plain))):
        for each in (stem,) if size is None else (f"{stem}-{size:g}", stem):
            key = _named(each)
            if key and size in (None, cards()[key]["memory_gb"]):
                return key
    return None


def sizes(name: str) -> tuple[str, ...]:
    """Return the cards of the catalogue that a name without a size may mean: A100 has 40 or 80 GB."""
    plain, size = _without_memory(normal(name))
    stem = _without_form(plain)
    if size is not None or stem in cards():
        return ()
    found = tuple(key for key in cards() if re.fullmatch(re.escape(stem) + r"-\d+", key))
    return found if len(found) > 1 else ()


def which_size(name: str) -> str | None:
    """Say which memory a name without a size was taken for, where the card has several."""
    key = find(name)
    if key is None or _without_memory(normal(name))[1] is not None:
        return None
    entry = cards()[key]
    others = [cards()[other]["memory_gb"] for other in sizes(name) if other != key]
    others += entry.get("also_gb", ())
    if not others:
        return None
    told = " or ".join(f"{size:g}" for size in sorted([*others, entry["memory_gb"]]))
    mend = f"write {' or '.join(sizes(name))}" if sizes(name) else "set budget.vram_gb for another"
    return (
        f"budget.gpu = {name}: this card has {told} GB; {entry['memory_gb']:g} GB was taken "
        f"({key}). To be sure, {mend}."
    )


def _named(name: str) -> str | None:
    return next((key for key, entry in cards().items() if name in names(key, entry)), None)


def _without_memory(name: str) -> tuple[str, float | None]:
    """Take `-80gb`, `:80-gb` or `-80g` off: `a100-80gb-pcie` is `a100-pcie` of 80."""
    found = re.search(r"[-:(]+(\d{1,3})-?gi?b?\b\)?", name)
    if found is None:
        return name, None
    return name[: found.start()] + name[found.end() :], float(found[1])


def _without_form(name: str) -> str:
    """Take off how a card is mounted and which memory chips it has."""
    return re.sub(r"-(?:sxm\d?|smx\d?|pcie?|hbm\d?e?|oam|nvl(?:ink)?|dgxs?)(?=-|$)", "", name)
