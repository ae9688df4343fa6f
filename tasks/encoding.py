"""From a canonical row to token ids and a loss mask: once, for the data gate and the trainer alike.

The data gate counts loss-bearing tokens with this code, and the trainer feeds what it returns to
TRL as `input_ids` and `labels`; so what was validated is what is trained. At inference the prompt
is encoded by `encode_prompt`, whose ids are the beginning of what `encode` returns.
Which template writes a chat is decided in `tasks/chat_template.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from tasks.chat_template import choose_template, writes_tool_calls, writes_tools
from tasks.recipe import DatasetSection

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Encoder", "answer_of", "turn_text"]

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
        return turn_text(row["messages"][-1])
    return str(row["completion"]) if row_type == "prompt_completion" else ""


def turn_text(turn: dict[str, Any]) -> str:
    """Return what a turn says: its content, and its tool calls as JSON after it."""
    calls = [call["function"] for call in turn.get("tool_calls", ())]
    said = [turn["content"]] if turn["content"] or not calls else []
    return "\n".join([*said, *(json.dumps(call, ensure_ascii=False) for call in calls)])


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
            self.template, self.template_origin = choose_template(
                tokenizer, from_recipe=dataset.chat_template != "auto"
            )

    def encode(self, row: Row) -> Encoded:
        """Return ids and loss mask of a whole row, not truncated.

        Raises:
            ValueError: The template refuses the row, or rewrites earlier turns.
        """
        if self.row_type == "messages":
            return self._encode_messages(row)
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
            return self._render(row, len(row["messages"]) - 1, add_generation_prompt=True)
        if self.row_type == "prompt_completion":
            return self._prompt_ids(row["prompt"])
        raise ValueError("raw text has no prompt")

    @cached_property
    def _marked(self) -> bool:
        from trl.chat_template_utils import has_generation_markers

        assert self.template is not None
        return has_generation_markers(self.template)

    @cached_property
    def _writes_calls(self) -> bool:
        return writes_tool_calls(self.tokenizer)

    @cached_property
    def _writes_tools(self) -> bool:
        return writes_tools(self.tokenizer, self.template or "")

    def _encode_messages(self, row: Row) -> Encoded:
        self._require_tools(row)
        if not self.dataset.assistant_only_loss:
            ids = self._render(row)
            encoded = Encoded(ids, [1] * len(ids))
        elif self._marked:
            out = self._apply(row, return_assistant_tokens_mask=True)
            encoded = Encoded(list(out["input_ids"]), list(out["assistant_masks"]))
        else:
            encoded = self._mask_by_prefixes(row)
        return self._without_unweighted(row, encoded)

    def _require_tools(self, row: Row) -> None:
        """Refuse a chat with tools if the template would leave them out without a word."""
        calls = any(turn["role"] == "tool" or "tool_calls" in turn for turn in row["messages"])
        if calls and not self._writes_calls:
            raise ValueError("the chat template writes no tool calls; give one that does")
        if row.get("tools") and not self._writes_tools:
            raise ValueError("the chat template does not write which tools there are")

    def _mask_by_prefixes(self, row: Row) -> Encoded:
        ids = self._render(row)
        mask = [0] * len(ids)
        for position, turn in enumerate(row["messages"]):
            if turn["role"] == "assistant":
                start, end = self._span(row, position, ids)
                mask[start:end] = [1] * (end - start)
        return Encoded(ids, mask)

    def _without_unweighted(self, row: Row, encoded: Encoded) -> Encoded:
        """Take turns of weight 0 out of what is learned."""
        for position, turn in enumerate(row["messages"]):
            if turn.get("weight") == 0:
                start, end = self._span(row, position, encoded.input_ids)
                encoded.loss_mask[start:end] = [0] * (end - start)
        return encoded

    def _span(self, row: Row, position: int, ids: list[int]) -> tuple[int, int]:
        """Return where an assistant's turn stands among the tokens of the whole row."""
        start = self._render(row, position, add_generation_prompt=True)
        end = self._render(row, position + 1)
        if ids[: len(start)] != start or ids[: len(end)] != end:
            raise ValueError("the chat template rewrites earlier turns; give one with marks")
        return len(start), len(end)

    def _render(
        self, row: Row, turns: int | None = None, *, add_generation_prompt: bool = False
    ) -> list[int]:
        out = self._apply(row, turns, add_generation_prompt=add_generation_prompt)
        return list(out["input_ids"])

    def _apply(self, row: Row, turns: int | None = None, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
        from jinja2 import TemplateError

        try:
            out: Any = self.tokenizer.apply_chat_template(
                row["messages"][:turns],
                tools=row.get("tools"),
                chat_template=self.template,
                tokenize=True,
                return_dict=True,
                **options,
            )
        except (TemplateError, TypeError, KeyError) as error:
            raise ValueError(f"the chat template refuses it: {error}") from None
        return dict(out)

    def _prompt_ids(self, text: str) -> list[int]:
        """Return a beginning's ids: one BOS where the tokenizer gives one, also if the text has it."""
        ids, bos = list(self.tokenizer(text)["input_ids"]), self.tokenizer.bos_token_id
        return ids[1:] if bos is not None and ids[:2] == [bos, bos] else ids

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _with_eos(self, ids: list[int]) -> list[int]:
        eos = self.tokenizer.eos_token_id
        return ids if eos is None or ids[-1:] == [eos] else [*ids, eos]
