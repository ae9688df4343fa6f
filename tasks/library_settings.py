"""Settings of SFTConfig, LoraConfig and BitsAndBytesConfig that a recipe may hand on by name.

Their names and types are committed (`tasks/assets/library_settings.yaml`), because reading a recipe
must not import the libraries: that costs ten seconds. A test compares the list with the installed
classes and writes it (`python -m tests.library_settings`). Settings that are ours under another name,
or cannot work, are in `tasks/assets/refused_settings.yaml` with the reason.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

__all__ = [
    "ASSETS",
    "LIBRARIES",
    "TYPES",
    "checked",
    "handed_on",
    "refused_setting",
    "schema_of",
]

ASSETS = Path(__file__).parent / "assets"

#: The section of the recipe -> the class whose settings it takes.
LIBRARIES = {
    "training": "trl.SFTConfig",
    "lora": "peft.LoraConfig",
    "quantization": "transformers.BitsAndBytesConfig",
}
TYPES: dict[str, tuple[Any, str]] = {
    "bool": (bool, "boolean"),
    "int": (int, "integer"),
    "float": (float, "number"),
    "str": (str, "string"),
    "list": (list, "array"),
    "dict": (dict, "object"),
}


@cache
def handed_on(section: str) -> dict[str, str]:
    """Return the settings a section hands on: name -> its types, as `float | str`."""
    refused = _table("refused_settings.yaml")[section]
    return {k: v for k, v in _table("library_settings.yaml")[section].items() if k not in refused}


def refused_setting(section: str, name: str) -> str | None:
    """Return why a setting of the library is refused, and what to write instead."""
    return _table("refused_settings.yaml").get(section, {}).get(name)


def checked(section: str, name: str, value: object) -> object:
    """Return a value in the type that the library wants: YAML reads 1e-8 as a text.

    Raises:
        ValueError: It has another type, or is not among those that work here.
    """
    if value is None:
        raise ValueError("is empty: leave it out, and it takes the library's default")
    allowed = _table("refused_settings.yaml")["only"].get(section, {}).get(name)
    if allowed is not None and value not in allowed:
        raise ValueError(f"is not among what works here: {', '.join(map(_shown, allowed))}")
    types = handed_on(section)[name]
    for word in types.split(" | "):
        try:
            return _adapter(word).validate_python(value, strict=word in ("bool", "str"))
        except ValidationError:
            continue
    wanted = " or ".join(TYPES[word][1] for word in types.split(" | "))
    raise ValueError(f"should be a valid {wanted}, as in {LIBRARIES[section]}")


def schema_of(section: str) -> dict[str, Any]:
    """Return the JSON schema of what a section hands on."""
    only = _table("refused_settings.yaml")["only"].get(section, {})
    about = f"Handed on to {LIBRARIES[section]}."
    return {
        name: {"description": about}
        | (
            {"enum": only[name]}
            if name in only
            else {"type": [TYPES[word][1] for word in types.split(" | ")]}
        )
        for name, types in handed_on(section).items()
    }


@cache
def _table(name: str) -> dict[str, Any]:
    return yaml.load((ASSETS / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


@cache
def _adapter(word: str) -> TypeAdapter[Any]:
    return TypeAdapter(TYPES[word][0])


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
