"""What people see of a text: nothing acts, nothing personal is readable, lengths stay."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reports.examples import shown_pieces
from tasks.reports.visible import masked, shortened, visible


@given(st.text())
def test_no_character_acts(text: str) -> None:
    shown = visible(text)
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - set(
        "\n\t\u200c\u200d"
    )
    shown.encode("utf-8")


@given(st.text(st.characters(codec="utf-8")))
def test_masking_keeps_every_position(text: str) -> None:
    assert len(masked(text)) == len(text)


@pytest.mark.parametrize(
    "secret",
    [
        "ann.smith@example.org",
        "+49 (0)170 1234567",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "sk-proj-abcdefghijklmnop1234",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "078-05-1121",
        "192.168.44.17",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_personal_or_secret_is_dots(secret: str) -> None:
    shown = masked(f"please use {secret} today")
    assert shown.startswith("please use ")
    assert shown.endswith(" today")
    hidden = shown.removeprefix("please use ").removesuffix(" today")
    assert sum(c.isalnum() for c in hidden) <= 1


@pytest.mark.parametrize(
    "plain", ["order 12345 is late", "in 2026-11-23 at 19:30", "supercalifragilisticexpialidocious"]
)
def test_what_is_not_stays(plain: str) -> None:
    assert masked(plain) == plain


def test_a_secret_cut_by_tokens_is_masked_whole_and_runs_are_joined() -> None:
    tokens = [["mail ann", 0], ["@exam", 0], ["ple.org", 1], ["!", 1]]
    assert shown_pieces({"pieces": tokens}) == [("mail a••@••••", False), ("•••.•••!", True)]


def test_a_snippet_is_one_short_line() -> None:
    assert shortened("a\n\n b\x00 " + "c" * 99, 12) == "a b␀ cccccccc"[:12] + "…"
