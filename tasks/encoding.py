"""From a canonical row to token ids and a loss mask: once, for the data gate and the trainer alike.

The data gate counts loss-bearing tokens with this code, and the trainer feeds what it returns to
TRL as `input_ids` and `labels`; so what was validated is what is trained. At inference the prompt
is encoded by `encode_prompt`, whose ids are the beginning of what `encode` returns.

Which template: the recipe's, else the tokenizer's; TRL's training template of the same family where
the tokenizer's lacks `{% generation %}` marks; else turns are told apart by their prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tasks.errors import DataError
from tasks.recipe import DatasetSection

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Encoder", "answer_of"]

RowType = Literal["messages", "prompt_completion", "text"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """One row as tokens: `loss_mask[i]` is 1 where `input_ids[i]` is learned."""

    input_ids: list[int]
    loss_mask: list[int]

    @property
    def labels(self) -> list[int]:
        """The ids where the loss looks, -100 elsewhere."""
        return [
            token if learned else -100
            for token, learned in zip(self.input_ids, self.loss_mask, strict=True)
        ]

    def cut(self, max_length: int) -> Encoded:
        """Return at most `max_length` tokens (`on_overlength: truncate`).

        The beginning is kept, and as its end the last learned token, so that the model still
        learns to stop. If nothing else is learned in the beginning, nothing is: the result's loss
        mask is all zero, and the row is not worth keeping.
        """
        if len(self.input_ids) <= max_length:
            return self
        ids, mask = self.input_ids[: max_length - 1], self.loss_mask[: max_length - 1]
        if not any(mask):
            return Encoded(self.input_ids[:max_length], [0] * max_length)
        last = max(i for i, learned in enumerate(self.loss_mask) if learned)
        return Encoded([*ids, self.input_ids[last]], [*mask, 1])


def answer_of(row: Row, row_type: RowType) -> str:
    """Return the text a model is expected to give: the last assistant turn or the completion."""
    if row_type == "messages":
        return str(row["messages"][-1]["content"])
    return str(row["completion"]) if row_type == "prompt_completion" else ""


class Encoder:
    """Encodes the rows of one data set with one tokenizer.

    Raises:
        DataError: Rows are chats and no chat template can be had.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, dataset: DatasetSection, row_type: RowType
    ) -> None:
        self.tokenizer = tokenizer
        self.dataset = dataset
        self.row_type = row_type
        self.template, self.template_origin = None, "none: rows are plain text"
        if row_type == "messages":
            self.template, self.template_origin = self._choose_template()

    def _choose_template(self) -> tuple[str, str]:
        from trl.chat_template_utils import get_training_chat_template, has_generation_markers

        template = self.tokenizer.chat_template
        if not isinstance(template, str):
            raise DataError(
                "dataset.format: the rows are chats but the model's tokenizer has no chat template. "
                "Set dataset.chat_template to a Jinja file, for instance "
                "tasks/assets/templates/chatml.jinja, or give prompt and completion columns."
            )
        origin = "the recipe's" if self.dataset.chat_template != "auto" else "the tokenizer's"
        if has_generation_markers(template):
            return template, origin
        try:
            patched = get_training_chat_template(self.tokenizer)
        except ValueError:
            return template, f"{origin}, assistant turns found by their prefixes"
        if patched is None:
            return template, origin
        return patched, f"{origin}, with TRL's generation marks of that family"

    def encode(self, row: Row) -> Encoded:
        """Return ids and loss mask of a whole row, not truncated.

        Raises:
            ValueError: The template refuses the row, or rewrites earlier turns.
        """
        if self.row_type == "messages":
            return self._encode_messages(row["messages"])
        if self.row_type == "prompt_completion":
            prompt = self._prompt_ids(row["prompt"])
            completion = self._with_eos(self._ids(row["completion"]))
            learned = 0 if self.dataset.completion_only_loss else 1
            return Encoded(prompt + completion, [learned] * len(prompt) + [1] * len(completion))
        ids = self._with_eos(self._prompt_ids(row["text"]))
        return Encoded(ids, [1] * len(ids))

    def encode_prompt(self, row: Row) -> list[int]:
        """Return the ids a model gets at inference: everything before the last answer.

        Raises:
            ValueError: The row is raw text, which has no prompt, or the template refuses it.
        """
        if self.row_type == "messages":
            return self._render(row["messages"][:-1], add_generation_prompt=True)
        if self.row_type == "prompt_completion":
            return self._prompt_ids(row["prompt"])
        raise ValueError("raw text has no prompt")

    def _encode_messages(self, messages: list[dict[str, Any]]) -> Encoded:
        from trl.chat_template_utils import has_generation_markers

        assert self.template is not None
        if not self.dataset.assistant_only_loss:
            ids = self._render(messages)
            return Encoded(ids, [1] * len(ids))
        if has_generation_markers(self.template):
            out = self._apply(messages, return_assistant_tokens_mask=True)
            return Encoded(list(out["input_ids"]), list(out["assistant_masks"]))
        return self._mask_by_prefixes(messages)

    def _mask_by_prefixes(self, messages: list[dict[str, Any]]) -> Encoded:
        ids, mask = self._render(messages), []
        for position, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            start = self._render(messages[:position], add_generation_prompt=True)
            end = self._render(messages[: position + 1])
            if ids[: len(start)] != start or ids[: len(end)] != end:
                raise ValueError("the chat template rewrites earlier turns; give one with marks")
            mask += [0] * (len(start) - len(mask)) + [1] * (len(end) - len(start))
        return Encoded(ids, mask + [0] * (len(ids) - len(mask)))

    def _render(
        self, messages: list[dict[str, Any]], *, add_generation_prompt: bool = False
    ) -> list[int]:
        return list(self._apply(messages, add_generation_prompt=add_generation_prompt)["input_ids"])

    def _apply(self, messages: list[dict[str, Any]], **options: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
        from jinja2 import TemplateError

        try:
            out: Any = self.tokenizer.apply_chat_template(
                messages, chat_template=self.template, tokenize=True, return_dict=True, **options
            )
        except TemplateError as error:
            raise ValueError(f"the chat template refuses it: {error}") from None
        return dict(out)

    def _prompt_ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _with_eos(self, ids: list[int]) -> list[int]:
        eos = self.tokenizer.eos_token_id
        return ids if eos is None or ids[-1:] == [eos] else [*ids, eos]
