"""Facts of `finetune recommend`: flags over a recipe over stated defaults, every mistake at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from flows import answers
from flows.recommend_flags import DEFAULTS, READERS, ROWS, SEQ_LEN, WORDS, Flags
from flows.row_guess import facts_beside, guess_rows
from tasks.base_model import find_path, hub_config, read_config
from tasks.contracts import Method
from tasks.errors import ModelError, RecipeError
from tasks.estimates.architecture import Architecture, architecture, catalogue, from_config
from tasks.estimates.facts import Facts
from tasks.estimates.hardware import Hardware, hardware_for
from tasks.estimates.parameters import refuse_for_experts
from tasks.recipe import (
    BudgetSection,
    LoraSection,
    QuantizationSection,
    Recipe,
    RequirementsSection,
    Section,
    TrainingSection,
)
from tasks.recipe_file import load_recipe

__all__ = ["Answered", "facts_from_flags", "read_flags"]

S = TypeVar("S", bound=Section)
Sections = dict[str, dict[str, Any]]

#: Flag -> section and key of the recipe.
KEYS = {
    "gpu": ("budget", "gpu"),
    "gpu_count": ("budget", "gpu_count"),
    "vram_gb": ("budget", "vram_gb"),
    "owned": ("budget", "owned"),
    "usd_per_gpu_hour": ("budget", "usd_per_gpu_hour"),
    "budget": ("budget", "max_usd"),
    "hours": ("budget", "max_hours"),
    "storage_gb": ("budget", "storage_gb"),
    "tasks": ("requirements", "tasks"),
    "accuracy": ("requirements", "accuracy"),
    "critical": ("requirements", "critical"),
    "complexity": ("requirements", "complexity"),
    "continual": ("requirements", "continual"),
    "epochs": ("training", "num_train_epochs"),
    "batch_size": ("training", "per_device_train_batch_size"),
    "optim": ("training", "optim"),
    "r": ("lora", "r"),
    "target_modules": ("lora", "target_modules"),
}
#: Taken where the recipe names no labels, which are counted when rows are prepared: the fewest.
LABELS = 2
SWITCHES = ("owned", "critical", "very_different", "ab_testing", "no_gradient_checkpointing")
SECTIONS = ("requirements", "budget", "lora", "quantization", "training")


@dataclass(frozen=True)
class Answered:
    """The facts, what was understood of the answers, and what was taken where nobody answered."""

    facts: Facts
    understood: tuple[str, ...]
    assumed: tuple[str, ...]


def facts_from_flags(flags: Flags) -> Answered:
    """Return the facts that flags and recipe answer.

    Raises:
        RecipeError: Flags or the recipe are wrong; all flags in one message.
        ModelError: No model is named, there is none of that name, or its type is not known.
        DataError: The recipe's data file does not exist.
    """
    given, problems = read_flags(flags)
    recipe = load_recipe(flags.recipe).recipe if flags.recipe else None
    sections = _from_recipe(recipe)
    method = _into(sections, given, problems, recipe)
    requirements = _section(RequirementsSection, sections["requirements"], problems)
    budget = _section(BudgetSection, sections["budget"], problems)
    lora = _section(LoraSection, sections["lora"], problems)
    quantization = _section(QuantizationSection, sections["quantization"], problems)
    training = _section(TrainingSection, sections["training"], problems)
    if flags.model is None and recipe is None:
        problems.append(f"--model: which model? Such as {', '.join(catalogue()[:3])}, or a recipe.")
    if problems:
        raise RecipeError("\n".join(problems))
    hardware = hardware_for(budget)
    if hardware.kind != "cpu" and "num_processes" not in sections["training"]:
        training = training.model_copy(update={"num_processes": hardware.count})
    model = _model(flags, recipe)
    if model.experts and recipe is None:
        lora = lora.model_copy(update={"lora_dropout": 0.0})
    elif method != "full":
        refuse_for_experts(model, lora)
    data, source = _data(given, recipe, model)
    if recipe is not None and recipe.task_type == "SEQ_CLS":
        model = model.with_labels(max(LABELS, len(recipe.dataset.label_names)))
    facts = Facts(
        architecture=model,
        hardware=hardware,
        **data,
        fused_loss=not flags.plain_loss,
        attn_implementation=_attention(given, recipe),
        eight_bit=given.get("quantization") == "int8",
        dtype=given.get("dtype") or (recipe.model.dtype if recipe else "auto"),
        method=method,
        **facts_beside(recipe, data["rows"], data["train_tokens"]),
        lora=lora,
        quantization=quantization,
        training=training,
        requirements=requirements,
        budget=budget,
        rules=given.get("rules") or (recipe.rules if recipe else "evidence"),
    )
    return Answered(facts, _understood(given, flags), _assumed(given, recipe, hardware, source))


def read_flags(flags: Flags) -> tuple[dict[str, Any], list[str]]:
    """Return what the flags say, read, and a line for each that is wrong."""
    given: dict[str, Any] = {}
    problems: list[str] = []
    for name in (field.name for field in fields(Flags)):
        text = getattr(flags, name)
        if text is None or name not in (*READERS, *WORDS, "gpu", *SWITCHES) or text is False:
            continue
        try:
            given |= _read(name, text, flags)
        except ValueError as error:
            problems.append(f"--{name.replace('_', '-')} {text}: {error}")
    problems += _contradictions(given)
    return given, problems


def _read(name: str, text: Any, flags: Flags) -> dict[str, Any]:  # noqa: ANN401 - texts, numbers
    if name in SWITCHES:
        return {name: True}
    if name == "gpu":
        card, count = answers.machine(str(text), memory_known=flags.vram_gb is not None)
        if count and flags.gpu_count is not None and answers.count(str(flags.gpu_count)) != count:
            raise ValueError(f"says {count} cards and --gpu-count {flags.gpu_count}; keep one.")
        return {"gpu": card} | ({"gpu_count": count} if count else {})
    if name in WORDS:
        return {name: answers.word(str(text), WORDS[name])}
    return {name: READERS[name](str(text))}


def _contradictions(given: dict[str, Any]) -> list[str]:
    method, bits = given.get("method"), given.get("quantization")
    told = []
    if bits and method and (bits == "none") == (method == "qlora") and method != "auto":
        told.append(
            f"--quantization {bits.replace('_', '-')}: contradicts --method {method}; "
            "4 bits are for qlora, and qlora needs them. Leave one out."
        )
    if given.get("deployment") == "rapid" and given.get("ab_testing"):
        given.pop("deployment")
    return told


def _from_recipe(recipe: Recipe | None) -> Sections:
    if recipe is None:
        return {name: {} for name in SECTIONS}
    said = recipe.model_dump(exclude_unset=True)
    return {name: dict(said.get(name, {})) for name in SECTIONS}


def _into(
    sections: Sections, given: dict[str, Any], problems: list[str], recipe: Recipe | None
) -> Method | Literal["auto"]:
    """Write the flags' answers over the recipe's, and return the method."""
    for name, (section, key) in KEYS.items():
        if name in given:
            sections[section][key] = given[name]
    asked = sections["requirements"]
    if "deployment" in given:
        rapid = given["deployment"] == "rapid"
        asked |= {"rapid": "updates"} if rapid else {"deployment": given["deployment"]}
    if "ab_testing" in given:
        asked["rapid"] = "ab_testing"
    if "very_different" in given:
        asked["domain_shift"] = "very_different"
    if "no_gradient_checkpointing" in given:
        sections["training"]["gradient_checkpointing"] = False
    method = given.get("method") or (recipe.method if recipe else "auto")
    bits = given.get("quantization")
    if bits in ("nf4", "nf4_double", "int8"):
        sections["quantization"]["bnb_4bit_use_double_quant"] = bits == "nf4_double"
        method = "qlora"
    elif bits == "none" and method == "auto":
        method = "lora"
    elif bits == "none" and method == "qlora":
        problems.append("--quantization none: the recipe says method: qlora. Add --method lora.")
    return method


def _section(kind: type[S], values: dict[str, Any], problems: list[str]) -> S:
    """Return the section, or note each wrong value under the name of its flag."""
    flags = {key: name for name, (_, key) in KEYS.items()}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        for item in error.errors():
            key = str(item["loc"][0])
            reason = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            flag = flags.get(key, key).replace("_", "-")
            problems.append(f"--{flag} {item['input']}: must be {reason}.")
    return kind()


def _attention(
    given: dict[str, Any], recipe: Recipe | None
) -> Literal["sdpa", "eager", "flash_attention_2"]:
    said = given.get("attn")
    if said is None:
        return recipe.model.attn_implementation if recipe else "sdpa"
    return "flash_attention_2" if said == "flash" else said


def _model(flags: Flags, recipe: Recipe | None) -> Architecture:
    """Return the architecture of a folder, a config.json, the catalogue or the Hub."""
    name = flags.model or (recipe.model.model_name_or_path if recipe else "")
    found = find_path(name)
    if found is not None and found.is_dir():
        return from_config(read_config(found), found.name)
    if found is not None and found.suffix == ".json":
        return from_config(read_config(found.parent, found.name), found.parent.name)
    try:
        return architecture(name)
    except ModelError:
        if name.startswith(("/", ".", "~")) or name.count("/") != 1:
            raise
    revision = recipe.model.revision if recipe and not flags.model else None
    return from_config(hub_config(name, revision), name)


def _data(
    given: dict[str, Any], recipe: Recipe | None, model: Architecture
) -> tuple[dict[str, Any], str]:
    """Return what is known of the data as facts, and where a guess comes from."""
    longest = model.max_positions or 1_000_000
    rows, length = given.get("rows"), given.get("seq_len")
    if length is not None and length > longest:
        raise RecipeError(
            f"--seq-len {length}: {model.name} has {longest:,} positions. Write at most that."
        )
    if recipe is None or (rows is not None and length is not None):
        rows, length = rows or ROWS, length or min(longest, SEQ_LEN)
        return {"rows": rows, "train_tokens": rows * length, "length": length}, ""
    guess = guess_rows(recipe)
    mean = length or guess.tokens / guess.rows
    count = rows or guess.rows
    data = {
        "rows": count,
        "train_tokens": round(count * mean),
        "length": min(longest, length or guess.longest),
        "packing": recipe.dataset.packing,
        "insists": recipe.validation.allow_few_rows,
    }
    return data, guess.source


def _understood(given: dict[str, Any], flags: Flags) -> tuple[str, ...]:
    model = (f"model {flags.model}",) if flags.model else ()
    return (*model, *(answers.echo(name, value) for name, value in given.items()))


def _assumed(
    given: dict[str, Any], recipe: Recipe | None, hardware: Hardware, source: str
) -> tuple[str, ...]:
    """Return what was taken where neither a flag nor the recipe answered."""
    said: dict[str, Any] = recipe.model_dump(exclude_unset=True) if recipe else {}
    asked, told = said.get("requirements", {}), []
    if "gpu" not in given and "vram_gb" not in given and not said.get("budget", {}).get("gpu"):
        told.append(f"hardware {hardware.title}")
    if "budget" not in given and "max_usd" not in said.get("budget", {}):
        told.append("no budget stated")
    if "accuracy" not in given and "accuracy" not in asked:
        told.append("no accuracy required")
    for name in ("tasks", "deployment", "continual", "complexity"):
        if name not in given and name not in asked:
            told.append(answers.echo(name, DEFAULTS[name]))
    if source:
        told.append(f"rows and tokens from {source}")
    elif recipe is None:
        told += [answers.echo(n, DEFAULTS[n]) for n in ("rows", "seq_len") if n not in given]
    if "epochs" not in given and "num_train_epochs" not in said.get("training", {}):
        told.append(answers.echo("epochs", DEFAULTS["epochs"]))
    return tuple(told)
