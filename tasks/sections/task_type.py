"""`task_type`: what is learned of a row, in PEFT's words; and what a classification head rules out.

CAUSAL_LM learns to write answers. SEQ_CLS puts a linear head on the decoder, which reads the last
token of a text and gives one score a label (transformers' AutoModelForSequenceClassification). No
text is written then, so keys about writing or learning text have no effect, and are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

__all__ = ["LABEL_METRICS", "SFT_ONLY", "TaskType", "refuse_for_the_task"]

#: How others write it: Hugging Face's pipelines and AutoTrain say text-classification.
SPELLINGS = {"SEQUENCE_CLASSIFICATION": "SEQ_CLS", "TEXT_CLASSIFICATION": "SEQ_CLS"}

#: Metrics of labels; the others are of texts.
LABEL_METRICS = ("accuracy", "macro_f1")

#: Settings that TRL's SFTTrainer alone reads; the head is trained by transformers' Trainer. A test
#: compares them with the installed classes.
SFT_ONLY = ("activation_offloading", "pad_to_multiple_of", "router_aux_loss_coef")

#: Sections of a recipe whose terms are those of a language model's loss, and why.
OF_LANGUAGE_MODELS = {
    "freeze": "which layers it counts includes the word head, which a classifier has not. Leave it "
    "out, or take method: lora, which leaves the base alone",
    "ewc": "its Fisher information is of a loss over general text, which a classifier cannot read",
    "replay": "its rows have no label",
}


def _in_pefts_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    word = value.strip().upper().replace("-", "_")
    return SPELLINGS.get(word, word)


TaskType = Annotated[Literal["CAUSAL_LM", "SEQ_CLS"], BeforeValidator(_in_pefts_words)]


def refuse_for_the_task(recipe: Any) -> None:  # noqa: ANN401 - a Recipe, which imports this
    """Refuse what cannot go with the recipe's task type, before anything is read.

    Raises:
        ValueError: A key of another task type; the message says what to write.
    """
    metric = recipe.requirements.metric
    if recipe.task_type == "CAUSAL_LM":
        if metric in LABEL_METRICS:
            raise ValueError(
                f"requirements.metric: {metric}: is of labels, which a language model does not "
                "give. Write task_type: SEQ_CLS, or metric: exact_match, the share of answers that "
                "are the label"
            )
        return
    for key, reason in _without_effect(recipe):
        raise ValueError(f"{key} with task_type: SEQ_CLS: {reason}")


def _without_effect(recipe: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - a Recipe
    """Return each key that a classification head rules out, with the reason and the mend."""
    dataset, metric = recipe.dataset, recipe.requirements.metric
    found = [
        (name, reason)
        for name, reason in OF_LANGUAGE_MODELS.items()
        if getattr(recipe, name) is not None
    ]
    found += [
        (f"dataset.format: {each.format}", "its rows have no label. Use classification or auto")
        for each in dataset.sections()
        if each.format not in ("auto", "classification")
    ]
    if recipe.lora.variant == "pissa":
        reason = "PEFT 0.21 leaves the head out when it converts the adapter. Take variant: lora"
        found.append(("lora.variant: pissa", reason))
    if dataset.packing:
        found.append(
            ("dataset.packing", "a head reads one text a sequence. Leave it out: texts are short")
        )
    loss = "the loss is of the label, never of a token. Leave it out"
    found += [
        (f"dataset.{key}: false", loss)
        for key in ("assistant_only_loss", "completion_only_loss")
        if not getattr(dataset, key)
    ]
    if dataset.chat_template != "auto":
        reason = "the head reads the text as it stands, without a chat around it. Leave it out"
        found.append(("dataset.chat_template", reason))
    if recipe.evaluation.max_new_tokens is not None:
        found.append(("evaluation.max_new_tokens", "no text is written. Leave it out"))
    if metric is not None and metric not in LABEL_METRICS:
        reason = f"is of texts. Write {' or '.join(LABEL_METRICS)}"
        found.append((f"requirements.metric: {metric}", reason))
    only = [name for name in SFT_ONLY if name in recipe.training.handed_on()]
    found += [
        (f"training.{name}", "only SFTTrainer reads it, and the head is trained by Trainer")
        for name in only
    ]
    return found
