"""Whether the Hub answers, asked once.

huggingface_hub tries a listing five times, half a minute in all, before it says that there is no
network; by then a user whose path was only mistyped has looked at the wrong place.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["hub_answers"]

#: A Hub that does not answer in so many seconds is not there; the local cache is looked at.
SECONDS = 10.0


def hub_answers(name: str, kind: Literal["model", "dataset"]) -> bool:
    """Ask the Hub about a repository; that it refuses is an answer, too."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        HfApi().repo_info(name, repo_type=kind, timeout=SECONDS)
    except (OfflineModeIsEnabled, httpx2.TransportError):
        return False
    except (HfHubHTTPError, HFValidationError):
        return True  # the download says what is wrong, and with which revision
    return True
