"""Several processes of a run: who speaks, and what they do together."""

from __future__ import annotations

import os

__all__ = ["anyone", "is_main", "wait_for_all"]


def is_main() -> bool:
    """Return whether this is the process that speaks and writes."""
    return os.environ.get("RANK", "0") == "0"


def anyone(asked: bool) -> bool:
    """Return whether any process says yes: a signal reaches them at different steps."""
    import torch
    from accelerate import PartialState

    votes = torch.tensor([int(asked)], device=PartialState().device)
    torch.distributed.all_reduce(votes)
    return bool(votes.item())


def wait_for_all() -> None:
    """Go on when every process is here."""
    from accelerate import PartialState

    PartialState().wait_for_everyone()
