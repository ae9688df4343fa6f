"""Loading tokenizers and models the same way in every stage: train, evaluate, publish, generate.

What was evaluated must be what was trained and what is published, so precision, quantization and
device are decided here and nowhere else. Run only in child processes: it imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.chat_template import find_template, no_template
from tasks.errors import DataError, ModelError
from tasks.recipe import ModelSection, QuantizationSection

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["agree_on_padding", "device", "head_settings", "load_base", "load_tokenizer"]
__all__ += ["load_tuned", "use_exact_4bit"]


def device() -> torch.device:
    """Return the accelerator of this process, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load_tokenizer(
    folder: str, chat_template: str = "auto", *, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """Load a tokenizer, with the recipe's chat template if it names one.

    Raises:
        ModelError: The folder holds no loadable tokenizer.
        DataError: The template file named by `dataset.chat_template` does not exist.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = cast(
            "PreTrainedTokenizerBase",
            AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code),
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: its tokenizer does not load: {error}") from None
    if chat_template != "auto":
        path = find_template(chat_template)
        if path is None:
            raise DataError(no_template(chat_template))
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    return tokenizer


def quantization_config(quantization: QuantizationSection, dtype: str) -> BitsAndBytesConfig:
    """Return the 4-bit configuration; `auto` computes in the model's dtype."""
    import torch
    from transformers import BitsAndBytesConfig

    wanted = quantization.bnb_4bit_compute_dtype
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=quantization.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=getattr(torch, dtype if wanted == "auto" else wanted),
        **quantization.handed_on(),
    )


def load_base(
    folder: str,
    model: ModelSection,
    *,
    dtype: str,
    quantization: QuantizationSection | None = None,
    sharded: bool = False,
    labels: Sequence[str] = (),
) -> PreTrainedModel:
    """Load the base model onto this process's device; 4-bit if `quantization` is given.

    With labels it has a classification head in place of its word head, random where the checkpoint
    has none.

    Args:
        folder: A local checkpoint folder.
        model: The recipe's section (attention, remote code).
        dtype: `float32`, `bfloat16` or `float16`; also the compute dtype of a 4-bit base.
        quantization: The recipe's section for QLoRA, else None.
        sharded: Whether it is going to be cut up; it stays in main memory until then.
        labels: Of the head, in its order.

    Raises:
        ModelError: The checkpoint does not load.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = AutoModelForSequenceClassification if labels else AutoModelForCausalLM
    extra: dict[str, Any] = head_settings(labels)
    if quantization is not None:
        extra["quantization_config"] = quantization_config(quantization, dtype)
    if quantization is not None or not sharded:  # DeepSpeed refuses a map of its own model
        extra["device_map"] = {"": "cpu" if sharded else device()}
    try:
        loaded = kind.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=model.attn_implementation,
            trust_remote_code=model.trust_remote_code,
            use_safetensors=True,
            **extra,
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(f"{folder}: the model does not load: {error}") from None
    use_exact_4bit(loaded)
    return loaded


def head_settings(labels: Sequence[str]) -> dict[str, Any]:
    """Return what transformers needs to know of a classification head; nothing without labels."""
    if not labels:
        return {}
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {name: number for number, name in enumerate(labels)},
        "problem_type": "single_label_classification",
    }


def agree_on_padding(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Let tokenizer and model call the same token padding, on the right.

    The head reads the last token that is not `config.pad_token_id`. If that is None, or another
    than the tokenizer pads with, it reads padding, and the answer to a text changes with its
    neighbours in the batch. A tokenizer without one pads with its end token: nothing is generated,
    so nothing unlearns to stop.

    Raises:
        ModelError: The tokenizer has neither a padding nor an end token.
    """
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ModelError(
                f"{tokenizer.name_or_path}: its tokenizer has no padding and no end token, so texts "
                "of different length cannot share a batch. Give it a pad_token."
            )
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    for config in (model.config, model.config.get_text_config()):
        config.pad_token_id = tokenizer.pad_token_id


def use_exact_4bit(model: torch.nn.Module) -> None:
    """Keep bitsandbytes from repacking 4-bit weights on CPUs with AVX512-BF16.

    The first evaluation forward would repack them in place and compute in bfloat16 from then on,
    and the repacked path has no backward: gradients are silently lost after the first evaluation
    (bitsandbytes 0.50.2, measured: 16 steps end at loss 1.72 instead of 0.85).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010 - a plain attribute


def load_tuned(
    base_folder: str,
    tuned_folder: Path,
    kind: str,
    model: ModelSection,
    *,
    dtype: str,
    quantization: QuantizationSection | None = None,
    labels: Sequence[str] = (),
) -> torch.nn.Module:
    """Load the tuned model in evaluation mode: a whole model, or the base with its adapter.

    The adapter's weights are float32, as they were trained; a PEFT model's `disable_adapter()`
    gives the base.
    """
    import torch

    if kind == "model":
        return load_base(str(tuned_folder), model, dtype=dtype, labels=labels).eval()
    from peft import PeftModel

    base = load_base(base_folder, model, dtype=dtype, quantization=quantization, labels=labels)
    tuned = PeftModel.from_pretrained(base, str(tuned_folder))
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(torch.float32)
    return tuned.eval()
