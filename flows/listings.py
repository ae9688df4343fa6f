"""Listings: the cards and models that `finetune recommend` knows without looking anything up."""

from __future__ import annotations

from rich.table import Table

from tasks.estimates.architecture import architecture, catalogue
from tasks.estimates.hardware import card, cards

__all__ = ["gpu_table", "model_table"]


def gpu_table() -> Table:
    """Return the cards: memory, peak, price range, and where the price comes from."""
    table = Table(box=None, pad_edge=False)
    for name in ("card", "usable GiB", "TFLOP/s", "$ per GPU-hour"):
        table.add_column(name, justify="left" if name == "card" else "right", no_wrap=True)
    table.add_column("price from")
    for name in cards():
        known = card(name)
        price = known.usd_per_hour
        table.add_row(
            name,
            f"{known.usable_gib:g}",
            f"{known.tflops[1]:g}",
            f"{price[0]:.2f} to {price[1]:.2f}" if price else "not known",
            known.price_source if price else "",
        )
    return table


def model_table() -> Table:
    """Return the models: parameters, layers, width and longest sequence."""
    table = Table(box=None, pad_edge=False)
    for name in ("model", "parameters", "layers", "hidden", "vocabulary"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for name in catalogue():
        known = architecture(name)
        shown = (known.parameters, known.layers, known.hidden, known.vocabulary)
        table.add_row(name, *(f"{x:,}" for x in shown))
    return table
