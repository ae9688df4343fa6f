"""Which Prefect server a run speaks to: the configured one if it answers, else an embedded one.

Decided before Prefect is imported, through its environment variables. A Prefect Cloud profile is
never used unless asked for. The configured address is looked up where Prefect looks: environment,
`prefect.toml` of the working directory, the active profile.
"""

from __future__ import annotations

import http.client
import json
import os
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

from tasks.processes import QUIET

__all__ = ["DEFAULT_URL", "answers", "choose_server", "configured_url"]

DEFAULT_URL = "http://127.0.0.1:4200/api"
PATIENCE_SECONDS = 1.0


def configured_url() -> str | None:
    """Return the API address Prefect would use, or None."""
    if os.environ.get("PREFECT_API_URL"):
        return os.environ["PREFECT_API_URL"]
    project = _toml(Path("prefect.toml")).get("api", {})
    if isinstance(project, dict) and project.get("url"):
        return str(project["url"])
    home = Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect"))
    profiles = _toml(Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")))
    name = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    known = profiles.get("profiles", {})
    profile = known.get(name, {}) if isinstance(known, dict) else {}
    return str(profile["PREFECT_API_URL"]) if profile.get("PREFECT_API_URL") else None


def answers(url: str, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Say whether a Prefect API answers there; another program on that port does not count."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=patience_seconds) as reply:
            return json.loads(reply.read(1000)) is True
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return False


def choose_server(*, cloud: bool = False) -> tuple[str | None, str]:
    """Return the address to use, or None for an embedded server, and one line that says why.

    Args:
        cloud: Whether a Prefect Cloud profile may be used.
    """
    os.environ.update(QUIET)
    url = configured_url()
    if url and "prefect.cloud" in url:
        if cloud:
            return url, f"Prefect: {url}"
        why = "the configured server is Prefect Cloud (use it with --cloud)"
    elif url and answers(url):
        os.environ["PREFECT_API_URL"] = url
        return url, f"Prefect: {url}"
    elif url:
        why = f"no Prefect server answers at {url}"
    else:
        why = "no server is configured"
    os.environ.pop("PREFECT_API_KEY", None)
    return None, f"Prefect: an embedded, ephemeral server, because {why}"


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}
