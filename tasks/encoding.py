"""From a canonical row to token ids and a loss mask: once, for the data gate and the trainer alike.

The data gate counts loss-bearing tokens with this code, and the trainer feeds what it returns to
TRL as `input_ids` and `labels`; so what was validated is what is trained. At inference the prompt
is encoded by `encode_prompt`, whose ids are the beginning of what `encode` returns.
Which template writes a chat is decided in `tasks/chat_template.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.chat_template import choose_template, writes_tool_calls, writes_tools
from tasks.contracts import RowType as RowType
from tasks.recipe import DatasetSection

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

__all__ = ["Encoded", "Encoder", "Pooled", "RowType", "answer_of", "turn_text"]

Row = dict[str, Any]
R = TypeVar("R")


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


@dataclass(frozen=True)
class Pooled(Encoded):
    """A text as a classification head reads it: at its last token, where the label is learned."""

    @classmethod
    def of(cls, ids: list[int]) -> Pooled:
        """Return the text of these tokens."""
        return cls(ids, [0] * (len(ids) - 1) + [1] * bool(ids))

    def cut(self, max_length: int) -> Pooled:
        """Return the beginning; what is then the last token is read."""
        return self.of(self.input_ids[:max_length])


def answer_of(row: Row, row_type: RowType) -> str:
    """Return the text a model is expected to give: the last assistant turn or the completion."""
    if row_type == "messages":
        return turn_text(row["messages"][-1])
    return "" if row_type == "text" else str(row["completion"])


def turn_text(turn: dict[str, Any]) -> str:
    """Return what a turn says: its content, and its tool calls as JSON after it."""
    calls = [call["function"] for call in turn.get("tool_calls", ())]
    said = [turn["content"]] if turn["content"] or not calls else []
    return "\n".join([*said, *(json.dumps(call, ensure_ascii=False) for call in calls)])


class Encoder:
    """Encodes the rows of one data set with one tokenizer; it can be sent to another process.

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
        self._marked = self._writes_calls = self._writes_tools = False
        if row_type == "messages":
            from trl.chat_template_utils import has_generation_markers

            self.template, self.template_origin = choose_template(
                tokenizer, from_recipe=dataset.chat_template != "auto"
            )
            self._marked = has_generation_markers(self.template)
            self._writes_calls = writes_tool_calls(tokenizer)
            self._writes_tools = writes_tools(tokenizer, self.template)

    def encode(self, row: Row) -> Encoded:
        """Return ids and loss mask of a whole row, not truncated.

        Raises:
            ValueError: The template refuses the row, or rewrites earlier turns.
        """
        (encoded,) = self.encode_batch([row])
        if isinstance(encoded, ValueError):
            raise encoded
        return encoded

    def encode_batch(self, rows: Sequence[Row]) -> list[Encoded | ValueError]:
        """Return what `encode` returns or raises for each row; the tokenizer is called once."""
        if not rows:
            return []
        if self.row_type == "messages":
            return self._encode_chats(rows)
        if self.row_type == "labelled":  # as a pipeline of transformers tokenizes a text
            return [Pooled.of(ids) for ids in self._starts([row["prompt"] for row in rows])]
        if self.row_type == "prompt_completion":
            prompts = self._starts([row["prompt"] for row in rows])
            completions = self._tokenized([row["completion"] for row in rows])["input_ids"]
            learned = 0 if self.dataset.completion_only_loss else 1
            return [
                Encoded(prompt + ended, [learned] * len(prompt) + [1] * len(ended))
                for prompt, ended in zip(prompts, map(self._with_eos, completions), strict=True)
            ]
        texts = map(self._with_eos, self._starts([row["text"] for row in rows]))
        return [Encoded(ids, [1] * len(ids)) for ids in texts]

    def encode_prompt(self, row: Row) -> list[int]:
        """Return the ids a model gets at inference: everything before the last answer.

        Raises:
            ValueError: The row is raw text, which has no prompt, or the template refuses it.
        """
        if self.row_type == "messages":
            return self._render(row, len(row["messages"]) - 1, add_generation_prompt=True)
        if self.row_type in ("prompt_completion", "labelled"):
            return self._starts([row["prompt"]])[0]
        raise ValueError("raw text has no prompt")

    def _encode_chats(self, rows: Sequence[Row]) -> list[Encoded | ValueError]:
        if self.dataset.assistant_only_loss and not self._marked:
            return [_or_refusal(self._mask_by_prefixes, row) for row in rows]
        rendered = [_or_refusal(self._rendered, row) for row in rows]
        texts = [each[0] for each in rendered if not isinstance(each, ValueError)]
        batch = self._tokenized(texts) if texts else None
        found = iter(range(len(texts)))
        out: list[Encoded | ValueError] = []
        for row, each in zip(rows, rendered, strict=True):
            if isinstance(each, ValueError):
                out.append(each)
                continue
            assert batch is not None
            at = next(found)
            ids = list(batch["input_ids"][at])
            mask = [1] * len(ids)
            if self.dataset.assistant_only_loss:
                mask = _mask_of_spans(batch, at, each[1])
            encoded = Encoded(ids, mask)
            out.append(_or_refusal(lambda r, e=encoded: self._without_unweighted(r, e), row))
        return out

    def _rendered(self, row: Row) -> tuple[str, list[tuple[int, int]]]:
        """Return a chat as text, and where what is generated begins and ends in it.

        `apply_chat_template` does the same and tokenizes at once, one chat a call.
        """
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        self._require_tools(row)
        chat = [{k: v for k, v in turn.items() if v is not None} for turn in row["messages"]]
        special: Any = self.tokenizer.special_tokens_map
        try:
            rendered: Any = render_jinja_template(
                [chat],
                tools=row.get("tools"),
                chat_template=self.template,
                return_assistant_tokens_mask=self.dataset.assistant_only_loss,
                **special,
            )
        except (TemplateError, TypeError, KeyError) as error:
            raise ValueError(f"the chat template refuses it: {error}") from None
        texts, spans = rendered
        return texts[0], spans[0] if spans else []

    def _require_tools(self, row: Row) -> None:
        """Refuse a chat with tools if the template would leave them out without a word."""
        calls = any(turn["role"] == "tool" or "tool_calls" in turn for turn in row["messages"])
        if calls and not self._writes_calls:
            raise ValueError("the chat template writes no tool calls; give one that does")
        if row.get("tools") and not self._writes_tools:
            raise ValueError("the chat template does not write which tools there are")

    def _mask_by_prefixes(self, row: Row) -> Encoded:
        self._require_tools(row)
        ids = self._render(row)
        mask = [0] * len(ids)
        for position, turn in enumerate(row["messages"]):
            if turn["role"] == "assistant":
                start, end = self._span(row, position, ids)
                mask[start:end] = [1] * (end - start)
        return self._without_unweighted(row, Encoded(ids, mask))

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

    def _starts(self, texts: list[str]) -> list[list[int]]:
        """Return beginnings' ids: one BOS where the tokenizer gives one, also if a text has it."""
        bos = self.tokenizer.bos_token_id
        found = self._tokenized(texts, add_special_tokens=True)["input_ids"]
        return [ids[1:] if bos is not None and ids[:2] == [bos, bos] else ids for ids in found]

    def _tokenized(self, texts: list[str], *, add_special_tokens: bool = False) -> BatchEncoding:
        return self.tokenizer(
            texts, add_special_tokens=add_special_tokens, return_attention_mask=False
        )

    def _with_eos(self, ids: list[int]) -> list[int]:
        eos = self.tokenizer.eos_token_id
        return ids if eos is None or ids[-1:] == [eos] else [*ids, eos]


def _or_refusal(work: Callable[[Row], R], row: Row) -> R | ValueError:
    """Return what the work makes of a row, or the error with which it refuses the row."""
    try:
        return work(row)
    except ValueError as error:
        return error


def _mask_of_spans(batch: BatchEncoding, at: int, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return the loss mask of spans of characters, as `apply_chat_template` draws it."""
    mask = [0] * len(batch["input_ids"][at])
    for start, end in spans:
        first, last = batch.char_to_token(at, start), batch.char_to_token(at, end - 1)
        if first is None:
            break
        stop = last + 1 if last else len(mask)
        mask[first:stop] = [1] * (stop - first)
    return mask
