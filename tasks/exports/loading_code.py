"""The code on a model card: loads a release and answers a prompt, or gives a text its label.

With public libraries alone.
A test runs what is written here in another process and compares logits with the evaluated model.
"""

from __future__ import annotations

from tasks.exports.lineage import Lineage

__all__ = ["loading_code"]

ADAPTER = """\
import torch
from peft import PeftModel
from transformers import {imports}

release = {release!r}
{quantization}base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, release).eval()
"""
WHOLE = """\
from transformers import {imports}

release = {release!r}
model = AutoModelForCausalLM.from_pretrained(release).eval()
"""
QUANTIZATION = """\
quantization = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type={type!r},
    bnb_4bit_use_double_quant={double!r},
    bnb_4bit_compute_dtype=torch.{dtype},
)
"""
#: See `tasks.loading.use_exact_4bit`: bitsandbytes 0.50 repacks 4-bit weights on some CPUs.
EXACT_4BIT = """\
for module in model.modules():  # compute as evaluated, also on CPUs with AVX512-BF16
    if hasattr(module, "support_avx512bf16_for_cpu"):
        module.support_avx512bf16_for_cpu = False
"""
CHAT = """\
messages = [{"role": "user", "content": "Your question"}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
).to(model.device)
"""
PLAIN = """\
inputs = tokenizer("Your prompt", return_tensors="pt").to(model.device)
"""
ANSWER = """\
settings = GenerationConfig.from_pretrained(release, do_sample=False, max_new_tokens={tokens})
output = model.generate(**inputs, generation_config=settings)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
"""


#: A classifier: its labels are the base's to know, for an adapter's files have no place for them.
LABELS = """\
labels = {labels!r}
"""
TEXT = """\
inputs = tokenizer("Your text", return_tensors="pt").to(model.device)
shares = model(**inputs).logits.softmax(-1)[0]
best = int(shares.argmax())
print(model.config.id2label[best], float(shares[best]))
"""
HEAD = (
    "num_labels=len(labels)",
    "id2label=dict(enumerate(labels))",
    "label2id={name: at for at, name in enumerate(labels)}",
    "pad_token_id=tokenizer.pad_token_id",
)


def loading_code(line: Lineage) -> str:
    """Return the code block for this release."""
    if line.evidence.splits.labels:
        return _classifier(line)
    chat = line.evidence.splits.row_type == "messages"
    tokens = line.recipe.evaluation.max_new_tokens or line.evidence.splits.longest_answer_tokens + 8
    return (
        (_adapter(line) if line.kind == "adapter" else _whole(line))
        + "tokenizer = AutoTokenizer.from_pretrained(release)\n\n"
        + (CHAT if chat else PLAIN)
        + ANSWER.format(tokens=tokens)
    )


def _classifier(line: Lineage) -> str:
    """Return the code that gives a text its label; the tokenizer comes first, it names the pad."""
    load = "tokenizer = AutoTokenizer.from_pretrained(release)\n"
    code = (_adapter(line) if line.kind == "adapter" else _whole(line)) + "\n" + TEXT
    code = code.replace("AutoModelForCausalLM", "AutoModelForSequenceClassification")
    code = code.replace(", GenerationConfig", "")
    names = [label.name for label in line.evidence.splits.labels]
    after = f"release = {line.place!r}\n"
    told = load + (LABELS.format(labels=names) if line.kind == "adapter" else "")
    return code.replace(after, after + told, 1)


def _whole(line: Lineage) -> str:
    imports = "AutoModelForCausalLM, AutoTokenizer, GenerationConfig"
    return WHOLE.format(imports=imports, release=line.place)


def _adapter(line: Lineage) -> str:
    names = ["AutoModelForCausalLM", "AutoTokenizer", "GenerationConfig"]
    dtype, options = line.evidence.checkpoint.dtype, []
    quantization, exact = "", ""
    if line.evidence.checkpoint.method == "qlora":
        names.append("BitsAndBytesConfig")
        chosen = line.recipe.quantization
        compute = chosen.bnb_4bit_compute_dtype
        quantization = QUANTIZATION.format(
            type=chosen.bnb_4bit_quant_type,
            double=chosen.bnb_4bit_use_double_quant,
            dtype=dtype if compute == "auto" else compute,
        )
        options, exact = ["quantization_config=quantization"], EXACT_4BIT
    if line.base.revision is not None:
        options.append(f"revision={line.base.revision!r}")
    if line.evidence.splits.labels:
        options += HEAD
    parts = [repr(line.base.name), f"dtype=torch.{dtype}", *options]
    base = ", ".join(parts)
    if line.evidence.splits.labels:
        base = "".join(f"\n    {part}," for part in parts) + "\n"
    return exact.join(
        (
            ADAPTER.format(
                imports=", ".join(sorted(names)),
                release=line.place,
                quantization=quantization,
                base=base,
            ),
            "",
        )
    )
