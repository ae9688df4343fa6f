"""Recommend as a flow of its own: the deployment `recommend/default`, for people and planners.

The same answers as `finetune recommend`, without preparing data; the reasons become an artifact and
the object of `--json` the flow's result.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State

from flows.recommend_facts import facts_from_flags
from flows.recommend_flags import Flags
from tasks.decision import decide
from tasks.errors import FinetuneError, RecipeError
from tasks.reports.recommendation_json import recommendation_json
from tasks.reports.recommendation_markdown import recommendation_markdown

__all__ = ["recommend"]


@flow(flow_run_name="recommend-{recipe}", retries=0, validate_parameters=True)
def recommend(
    recipe: str | None = "recipes/quickstart.yaml", answers: dict[str, Any] | None = None
) -> State[Any]:
    """Choose full fine-tuning, LoRA or QLoRA for a recipe, or for answers alone.

    Args:
        recipe: Path of the recipe file; empty if the answers say it all.
        answers: The flags of `finetune recommend` by name, such as `gpu: 2x4090`,
            `accuracy: 96%`; they win over the recipe.
    """
    try:
        flags = _flags(recipe, answers or {})
        answered = facts_from_flags(flags)
        choice = decide(answered.facts)
    except FinetuneError as error:
        return Failed(name="InputRejected", message=str(error))
    create_markdown_artifact(
        key="recommendation",
        markdown=recommendation_markdown(choice),
        description=f"method: {choice.method}",
    )
    whole = recommendation_json(choice, answered.understood, answered.assumed)
    get_run_logger().info("%s for %s", choice.method, answered.facts.architecture.name)
    if choice.method == "nothing_fits":
        return Failed(name="NothingFits", message=choice.conflict, data=whole)
    return Completed(name="Recommended", message=f"method: {choice.method}", data=whole)


def _flags(recipe: str | None, answers: dict[str, Any]) -> Flags:
    """Return the flags that answers stand for.

    Raises:
        RecipeError: An answer that is no flag.
    """
    known = {field.name for field in fields(Flags)}
    given = {name.replace("-", "_"): value for name, value in answers.items()}
    unknown = sorted(set(given) - known)
    if unknown:
        raise RecipeError(f"answers: {', '.join(unknown)}: no such flag of finetune recommend.")
    texts = {k: v if isinstance(v, bool) else str(v) for k, v in given.items() if v is not None}
    whole: dict[str, Any] = {"recipe": recipe or None} | texts
    return Flags(**whole)
