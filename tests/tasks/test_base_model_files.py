"""Base models as files: what cannot be had is told in one line, before anything expensive.

The Hub's refusals come from a loopback server that answers as the Hub does; the library that asks
is the real one, in a child process, because it reads its address when it is imported.
"""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base_model import read_config, resolve
from tasks.errors import ModelError
from tasks.recipe import ModelSection
from tests.running import free_port
from tests.tiny import build_tiny_model

ROOT = Path(__file__).parents[2]
ASK = (
    "import sys\nfrom tasks.base_model import resolve\nfrom tasks.recipe import ModelSection\n"
    "from tasks.errors import ModelError\n"
    "try:\n    print(resolve(ModelSection(model_name_or_path=sys.argv[1], revision=sys.argv[2])))\n"
    "except ModelError as error:\n    print(error)\n"
)


class Hub(http.server.BaseHTTPRequestHandler):
    """Refuses everything with the class's status and error code."""

    status, code = 404, "RepoNotFound"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("X-Error-Code", self.code)
        self.send_header("X-Error-Message", self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[str]:
    status, code = request.param
    server = http.server.HTTPServer(
        ("127.0.0.1", 0), type("Refusing", (Hub,), {"status": status, "code": code})
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(folder: Path, name: str, revision: str = "main", **env: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, name, revision],
        cwd=ROOT,
        env=clean | {"HF_HOME": str(folder), "PYTHONPATH": str(ROOT)} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("hub", "told"),
    [
        ((403, "GatedRepo"), "is gated. Accept its terms"),
        ((404, "RepoNotFound"), "neither a folder here nor a model on the Hub"),
        ((404, "RevisionNotFound"), "has no revision 'v9' (model.revision)"),
        ((500, "Broken"), "the Hub cannot be reached"),
    ],
    indirect=["hub"],
)
def test_a_refusal_of_the_hub_is_one_line_with_the_mend(
    hub: str, told: str, tmp_path: Path
) -> None:
    said = ask(tmp_path, "someone/something", "v9", HF_ENDPOINT=hub)
    assert said.startswith("model.model_name_or_path: someone/something: ")
    assert told in said
    assert "\n" not in said


def test_a_hub_id_while_offline_is_one_line(tmp_path: Path) -> None:
    said = ask(tmp_path, "someone/something", HF_HUB_OFFLINE="1")
    assert "the Hub cannot be reached and no copy is in the local cache" in said
    assert "\n" not in said


def test_a_hub_that_does_not_answer_is_told_at_once_for_a_pinned_revision_too(
    tmp_path: Path,
) -> None:
    """A commit is listed without asking for it first, and a listing is tried for 26 s."""
    began = time.monotonic()
    said = ask(
        tmp_path, "someone/something", "0" * 40, HF_ENDPOINT=f"http://127.0.0.1:{free_port()}"
    )
    assert "the Hub cannot be reached and no copy is in the local cache" in said
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", ["nowhere/at/all", "./nothing", "/no/such", "plain"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_told(name: str) -> None:
    with pytest.raises(ModelError, match="no such folder, and not a Hub id"):
        resolve(ModelSection(model_name_or_path=name))


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path / "tiny")
    first = resolve(ModelSection(model_name_or_path=str(folder)))
    assert resolve(ModelSection(model_name_or_path=str(folder))) == first
    config = folder / "config.json"
    config.write_text(config.read_text().replace("{", "{ ", 1))
    assert resolve(ModelSection(model_name_or_path=str(folder))).sha256 != first.sha256


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path / "tiny")
    for weights in folder.glob("*.safetensors"):
        weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="a pickle, which is never loaded here"):
        resolve(ModelSection(model_name_or_path=str(folder)))


def test_a_folder_without_configuration_or_tokenizer_is_told(tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path / "tiny")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="holds no tokenizer"):
        resolve(ModelSection(model_name_or_path=str(folder)))
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is not JSON"):
        read_config(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        read_config(folder)
