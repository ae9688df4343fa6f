"""Which chat template writes the rows, and whether it can: found by rule, never guessed.

Order: the recipe's (a Jinja file, a name of ours in `tasks/assets/templates/`, or one of TRL's
training templates by name), else the tokenizer's own; where that has no `{% generation %}` marks,
TRL's training template of the same family, else turns are told apart by their prefixes. A tokenizer
without a template is an error that offers those whose special tokens it knows.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.base_model import find_path
from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["choose_template", "find_template", "no_template", "require_known_tokens"]
__all__ += ["writes_tool_calls", "writes_tools"]

OURS = Path(__file__).parent / "assets" / "templates"
#: How special tokens are written: <|im_start|>, DeepSeek's with wide bars, Gemma's turns. Llama 2's
#: [INST] is plain text.
SPECIAL = re.compile(r"<[|\uff5c][^|\uff5c<>\s]+[|\uff5c]>|<(?:start|end)_of_turn>")
SENTINEL = "tool_name_a8f3e2b1"


def find_template(name: str) -> Path | None:
    """Return the file of a template: a path, a name of ours, or the name of a family in TRL."""
    path = find_path(name)
    if path is not None and path.is_file():
        return path
    return _named().get(name)


def no_template(name: str) -> str:
    """Return what is wrong with a name that `find_template` does not find."""
    return (
        f"dataset.chat_template: {name}: no such file, and none of the names {', '.join(_named())}."
    )


def choose_template(tokenizer: PreTrainedTokenizerBase, *, from_recipe: bool) -> tuple[str, str]:
    """Return the template that rows are written with, and where it comes from.

    Raises:
        DataError: The tokenizer has none, or writes special tokens it does not know.
    """
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    template: Any = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        raise DataError(_none(tokenizer))
    if from_recipe:
        require_known_tokens(tokenizer, template)
    origin = "the recipe's" if from_recipe else "the tokenizer's"
    if has_generation_markers(template):
        return template, origin
    try:
        patched = get_training_chat_template(tokenizer)
    except ValueError:
        return template, f"{origin}, assistant turns found by their prefixes"
    if patched is None:
        return template, origin
    return patched, f"{origin}, with TRL's generation marks of that family"


def require_known_tokens(tokenizer: PreTrainedTokenizerBase, template: str) -> None:
    """Refuse a template whose special tokens the tokenizer would spell out letter by letter.

    LLaMA-Factory's `llama3` on Qwen2.5 ended in endless repeats (its issue 6736).

    Raises:
        DataError: The template writes a special token that is not in the vocabulary.
    """
    unknown = _unknown_tokens(tokenizer, template)
    if unknown:
        raise DataError(
            f"dataset.chat_template: writes {', '.join(unknown)}, which this tokenizer does not "
            f"know: they would be spelled out in pieces. {_offer(tokenizer)}"
        )


def writes_tool_calls(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Say whether the template writes calls, their arguments and what the tool answered."""
    from trl.chat_template_utils import supports_tool_calling

    try:
        return supports_tool_calling(tokenizer)
    except (TypeError, ValueError, KeyError):
        return False


def writes_tools(tokenizer: PreTrainedTokenizerBase, template: str) -> bool:
    """Say whether the template writes down which tools there are."""
    from jinja2 import TemplateError

    tool = {"type": "function", "function": {"name": SENTINEL, "parameters": {"properties": {}}}}
    try:
        written = tokenizer.apply_chat_template(
            [{"role": "user", "content": "hi"}],
            tools=[tool],
            chat_template=template,
            tokenize=False,
        )
    except (TemplateError, TypeError, ValueError, KeyError):
        return False
    return SENTINEL in str(written)


def _named() -> dict[str, Path]:
    """Return every template with a name; TRL is looked up, not imported."""
    named = {path.stem: path for path in sorted(OURS.glob("*.jinja"))}
    spec = find_spec("trl")
    if spec is not None and spec.origin:
        for path in sorted(Path(spec.origin).parent.glob("chat_templates/*_training.jinja")):
            named.setdefault(path.stem.removesuffix("_training"), path)
    return named


def _none(tokenizer: PreTrainedTokenizerBase) -> str:
    return (
        "dataset.format: the rows are chats but the model's tokenizer has no chat template. "
        f"{_offer(tokenizer)} Or give prompt and completion columns."
    )


def _offer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the sentence that names the shipped templates this tokenizer can write."""
    fits = [
        path.stem
        for path in sorted(OURS.glob("*.jinja"))
        if not _unknown_tokens(tokenizer, path.read_text(encoding="utf-8"))
    ]
    return (
        f"Set dataset.chat_template to a shipped one that it can write ({', '.join(fits)}), or to a "
        "Jinja file."
    )


def _unknown_tokens(tokenizer: PreTrainedTokenizerBase, template: str) -> list[str]:
    code = re.sub(r"\{#.*?#\}", "", template, flags=re.S)
    known = tokenizer.get_vocab()
    return sorted({token for token in SPECIAL.findall(code) if token not in known})
