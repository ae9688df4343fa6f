"""The command line: run, plan, validate, review, recommend, generate, clean, up.

Nothing heavy is imported before a command needs it; a repeat of a finished run is answered from its
folder without Prefect. Exit codes are those of `tasks.errors.ExitCode`.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from flows.recommend_flags import Flags, as_command
from tasks.errors import ExitCode, FinetuneError

__all__ = ["app", "main"]

app = typer.Typer(
    name="finetune",
    help="From a data set and requirements to a published, audited model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipeArgument = Annotated[str, typer.Argument(help="A recipe file.", metavar="RECIPE")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a key: --set lora.r=32. May be repeated.", metavar="KEY=VALUE"
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Do every stage again.")]
CloudOption = Annotated[bool, typer.Option("--cloud", help="Use a Prefect Cloud profile.")]

#: Name of a final state -> exit code.
CODES = {
    "Completed": ExitCode.DONE,
    "Planned": ExitCode.DONE,
    "Validated": ExitCode.DONE,
    "ReviewNeeded": ExitCode.GATE,
    "DataRejected": ExitCode.GATE,
    "QualityRejected": ExitCode.GATE,
    "PublishRejected": ExitCode.GATE,
    "InputRejected": ExitCode.INPUT,
    "NothingFits": ExitCode.NOTHING_FITS,
    "Cancelled": ExitCode.INTERRUPTED,
}


@app.command()
def run(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    force: ForceOption = False,
    cloud: CloudOption = False,
) -> None:
    """Validate, recommend, train, evaluate and publish as the recipe says."""
    _run(recipe, overrides or [], force=force, cloud=cloud, dry_run=False)


@app.command()
def plan(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    force: ForceOption = False,
    cloud: CloudOption = False,
) -> None:
    """Validate and recommend; no weights are loaded."""
    _run(recipe, overrides or [], force=force, cloud=cloud, dry_run=True)


@app.command()
def validate(
    data: Annotated[
        str, typer.Argument(help="A recipe, or a data file with --model.", metavar="RECIPE|DATA")
    ],
    model: Annotated[
        str | None, typer.Option(help="A folder with a tokenizer, or a Hub id.")
    ] = None,
    overrides: SetOption = None,
    force: ForceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check the data and write the report; a tokenizer is enough, no weights are loaded."""
    from flows.validate_command import Wanted, validate_data

    sys.exit(int(validate_data(Wanted(data, model, overrides or (), force, as_json))))


@app.command()
def review(
    run: Annotated[str, typer.Argument(help="A run folder, a run's name, or a recipe.")],
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK", help="A finding to accept; all: every one not critical."),
    ] = None,
    reject: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="A finding to stop at; or all.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    until: Annotated[str | None, typer.Option(help="The last day it holds: 2027-01-31.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides; you if left out.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only show what was decided.")] = False,
) -> None:
    """Accept or reject findings of a data report; at a terminal without flags it asks."""
    from flows.review_command import Decisions
    from flows.review_command import review as decide

    said = Decisions(accept or (), reject or (), reason, until, by)
    sys.exit(int(decide(run, said, listed=listed)))


@app.command()
@as_command
def recommend(flags: Flags) -> None:
    """Choose full fine-tuning, LoRA or QLoRA, with reasons, memory, hours and dollars."""
    from flows.recommend_command import recommend_command

    recommend_command(flags)


@app.command()
def clean(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run folders, runs' names, or recipes.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run.")] = False,
) -> None:
    """Delete the files of runs that hold rows of the data; reports and weights stay."""
    from flows.clean_command import clean as delete

    sys.exit(int(delete(runs or (), everything=everything)))


@app.command()
def up() -> None:
    """Start Prefect's server, the work pool, the deployments and a worker; Ctrl-C stops them."""
    from flows.up import up as bring_up

    sys.exit(int(bring_up()))


@app.command()
def generate(
    name: Annotated[str, typer.Argument(help="A published name, such as quickstart.")],
    prompt: Annotated[str, typer.Argument(help="What to ask.")],
    version: Annotated[int | None, typer.Option(help="A version; the latest if left out.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.", min=1)] = 200,
    registry: Annotated[Path, typer.Option(help="The local registry.")] = Path("registry"),
) -> None:
    """Answer a prompt with the base and the tuned model, side by side."""
    from flows.generate_command import generate as answer

    answer(name, prompt, version=version, max_new_tokens=max_new_tokens, registry=registry)


def _run(recipe: str, overrides: list[str], *, force: bool, cloud: bool, dry_run: bool) -> None:
    from flows.runs import open_run

    opened = open_run(recipe, overrides)
    if force:
        with opened.folder.locked():
            opened.forget()
    known, why = opened.finished(dry_run=dry_run)
    if known is not None:
        from flows.repeat import show_again

        show_again(opened, known)
        sys.exit(int(CODES[known.state]))
    from flows.display import console
    from flows.server import choose_server

    if why:
        console.print(f"finished before, but {why}", markup=False)
    url, line = choose_server(cloud=cloud)
    console.print(line, markup=False)
    with nullcontext() if url else _embedded():
        code = _flow(recipe, overrides, dry_run=dry_run)
    sys.exit(int(code))


def _embedded() -> AbstractContextManager[str]:
    from flows.embedded import embedded_server

    return embedded_server()


def _flow(recipe: str, overrides: list[str], *, dry_run: bool) -> ExitCode:
    """Run the flow in this process and return the exit code of its final state."""
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    from flows.display import console
    from flows.finetune import finetune
    from flows.reporting import speak_to_terminal

    speak_to_terminal()
    signal.signal(signal.SIGTERM, _as_interrupt)
    run: Any = finetune
    try:
        state = run(recipe, overrides, dry_run, return_state=True)
    finally:
        _send_what_is_left()
    code = CODES.get(state.name, ExitCode.OURS)
    colour = "green" if code == ExitCode.DONE else "red"
    console.print(f"[{colour}]{state.name}[/]", end=" ")
    console.print(state.message or "", markup=False)
    return code


def _send_what_is_left() -> None:
    """Let Prefect's threads send their last words while the server is still there."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=5)


def _as_interrupt(_sign: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; a told error is one message and its exit code, never a traceback."""
    try:
        app()
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to go on\n")
        sys.exit(int(ExitCode.INTERRUPTED))
    except Exception:
        import traceback

        traceback.print_exc()
        sys.stderr.write("This is our bug. Please report it with the lines above.\n")
        sys.exit(int(ExitCode.OURS))
