"""Small tokenizers in the shape of four families: their special tokens, BOS habits and templates.

Trained on a few sentences in the test; the templates are the published ones (Llama 2's from its
tokenizer_config.json, Llama 3's and Qwen3's as TRL holds them).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tiny import CORPUS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["FAMILIES", "family_tokenizer"]

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)

#: Family -> special tokens, BOS (written before every text), EOS, pad, and whether words have a
#: mark before them (SentencePiece) or bytes stand for themselves.
FAMILIES = {
    "gpt2": (("<|endoftext|>",), None, "<|endoftext|>", None, "bytes"),
    "llama2": (("<unk>", "<s>", "</s>"), "<s>", "</s>", None, "marks"),
    "llama3": (
        (
            *("<|begin_of_text|>", "<|end_of_text|>"),
            *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        ),
        *("<|begin_of_text|>", "<|eot_id|>", None, "bytes"),
    ),
    "qwen": (
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        *(None, "<|im_end|>", "<|endoftext|>", "bytes"),
    ),
}


@cache
def _trl_template(name: str) -> str:
    import trl

    folder = Path(str(trl.__file__)).parent / "chat_templates"
    return (folder / f"{name}.jinja").read_text(encoding="utf-8")


def family_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Return a new tokenizer of about 400 tokens in the shape of a family."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special, bos, eos, pad, words = FAMILIES[family]
    if words == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
        alphabet = sorted(set("".join(CORPUS)) | set("[]<>/|\n▁ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos or (eos if family == "gpt2" else None),
        eos_token=eos,
        pad_token=pad,
    )
    templates = {
        "llama2": LLAMA2,
        "llama3": _trl_template("llama3"),
        "qwen": _trl_template("qwen3"),
    }
    fast.chat_template = templates.get(family)
    return fast
