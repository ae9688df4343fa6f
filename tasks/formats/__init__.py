"""Row shapes that can be read: one file each, in the order of detection."""

from __future__ import annotations

from types import ModuleType

from tasks.formats import alpaca, messages, prompt_completion, text

FORMATS: dict[str, ModuleType] = {
    "messages": messages,
    "alpaca": alpaca,
    "prompt_completion": prompt_completion,
    "text": text,
}
