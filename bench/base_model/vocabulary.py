"""Train the base model's tokenizer: byte-level BPE with a chat template of role tokens.

A capitalized word never carries the space before it and digits stand alone, so that a name or a
number has the same tokens wherever it stands and can be copied token by token.
A turn is `<|role|>content<|end|>`; the end token is the EOS, padding has a token of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.base_model.corpus import document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 2048
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
SPLIT = r"\p{Lu}\p{L}*| ?\p{Ll}+|\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s"
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
<|assistant|>{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}
{%- elif message['role'] in ('system', 'user') -%}
{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}
{%- else -%}
{{ raise_exception('Unknown role: ' + message['role'] + '. Allowed: system, user, assistant.') }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""


def train_tokenizer(seed: int, documents: int = 20_000) -> PreTrainedTokenizerFast:
    """Return a tokenizer of `VOCABULARY` tokens trained on the first documents of the corpus."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (message["content"] for index in range(documents) for message in document(seed, index))
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
