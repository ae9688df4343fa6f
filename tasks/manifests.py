"""Manifests: what a stage recorded, as a text that knows when it was altered."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

__all__ = ["canonical", "manifest_text", "read_manifest", "text_sha256"]


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def manifest_text(manifest: dict[str, Any]) -> str:
    """Return a manifest as JSON, with a hash over the rest of it."""
    plain = json.loads(json.dumps(manifest))
    return json.dumps(plain | {"sha256": text_sha256(canonical(plain))}, indent=1)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest; a flipped bit in it is damage, as in any file of the stage.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no JSON, or was altered.
        KeyError: It has no hash.
    """
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest.pop("sha256") != text_sha256(canonical(manifest)):
        raise ValueError(f"{path} was altered")
    return manifest


def canonical(value: object) -> str:
    """Return a JSON text that is equal for equal values; records and paths are understood."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"not JSON-able: {type(value).__name__}")
