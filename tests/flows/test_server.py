"""Which Prefect server: the configured one if it answers, never a cloud one unasked."""

from __future__ import annotations

import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server import answers, choose_server, configured_url


class Health(http.server.BaseHTTPRequestHandler):
    """Answers every request with the class's body."""

    body = b"true"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def listening(request: pytest.FixtureRequest) -> Iterator[str]:
    body = getattr(request, "param", b"true")
    handler = type("Handler", (Health,), {"body": body})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def test_a_server_that_answers_is_used(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", listening)
    assert choose_server() == (listening, f"Prefect: {listening}")
    assert os.environ["PREFECT_API_URL"] == listening


def test_without_a_server_the_ephemeral_one_is_used_and_said(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:9/api"\n')
    url, line = choose_server()
    assert url is None
    assert "ephemeral server, because no Prefect server answers at http://127.0.0.1:9" in line


@pytest.mark.parametrize("listening", [b"<html>something else</html>"], indirect=True)
def test_another_program_on_the_port_is_no_server(listening: str) -> None:
    assert not answers(listening)


def test_a_port_that_accepts_and_never_answers_costs_about_a_second() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        assert time.monotonic() - start < 2


def test_a_cloud_profile_is_left_alone_unless_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "work"\n[profiles.work]\n'
        'PREFECT_API_URL = "https://api.prefect.cloud/api/accounts/a/workspaces/w"\n'
    )
    assert "prefect.cloud" in str(configured_url())
    url, line = choose_server()
    assert url is None
    assert "use it with --cloud" in line
    assert choose_server(cloud=True)[0] == configured_url()


def test_telemetry_is_off() -> None:
    choose_server()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
