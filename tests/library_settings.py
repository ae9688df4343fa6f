"""Write `tasks/assets/library_settings.yaml` from the installed classes: `python -m` this module."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing

import yaml

from tasks.library_settings import ASSETS, LIBRARIES, TYPES

__all__ = ["installed_settings"]

PATH = ASSETS / "library_settings.yaml"
HEAD = """# Settings of the installed classes, name: types. Written by `python -m tests.library_settings` from
# TRL 1.16, PEFT 0.21 and transformers 5.23; a test compares it. Edited by nobody.
"""

#: Without annotations there: read in its docstring (transformers 5.23).
QUANTIZATION = {
    "load_in_8bit": "bool", "load_in_4bit": "bool", "llm_int8_threshold": "float",
    "llm_int8_skip_modules": "list", "llm_int8_enable_fp32_cpu_offload": "bool",
    "llm_int8_has_fp16_weight": "bool", "bnb_4bit_compute_dtype": "str",
    "bnb_4bit_quant_type": "str", "bnb_4bit_use_double_quant": "bool",
    "bnb_4bit_quant_storage": "str",
}  # fmt: skip


def installed_settings() -> dict[str, dict[str, str]]:
    """Return every setting of the three classes and its plain types."""
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig
    from trl import SFTConfig

    found = {section: {} for section in LIBRARIES}
    for section, library in (("training", SFTConfig), ("lora", LoraConfig)):
        hints = typing.get_type_hints(library)
        for field in dataclasses.fields(library):
            if field.init:
                found[section][field.name] = plain_types(hints[field.name])
    names = [
        n for n in inspect.signature(BitsAndBytesConfig.__init__).parameters if n[:4] != "self"
    ]
    found["quantization"] = {name: QUANTIZATION[name] for name in names if name != "kwargs"}
    return found


def plain_types(hint: object) -> str:
    """Return the plain types of a hint: `float | str` for Optional[Union[float, SomeEnum]]."""
    found = _types(hint)
    return " | ".join(word for word in TYPES if word in found)


def _types(hint: object) -> set[str]:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_types(member) for member in members))
    if origin is typing.Literal:
        return {type(member).__name__ for member in members}
    kind = origin or hint
    if kind is type(None):
        return set()
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"str"}
    return {kind.__name__} if kind in (bool, int, float, str, list, dict) else {"dict"}


if __name__ == "__main__":
    PATH.write_text(HEAD + yaml.safe_dump(installed_settings(), sort_keys=True), encoding="utf-8")
