"""Private data: what is one is found and masked, what only looks like one is left alone."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.reports import visible
from tasks.signals.redaction import MASKS, masked, private_data, redacted

QUICKSTART = Path(__file__).parents[3] / "tasks/assets/quickstart"

#: Invented, but of the right shape: check digits hold, prefixes are the providers'.
PRIVATE = [
    ("email", "jana.novak+list@posta.example.cz"),
    ("email", "o_brien@mail.example-shop.co.uk"),
    ("phone", "+49 (0)30 901820-14"),
    ("phone", "+447700 900 123"),
    ("phone", "(803)745-3215"),
    ("phone", "345-899-3560x4587"),
    ("phone", "001-518-640-0854"),
    ("phone", "01.84.17.61.18"),
    ("phone", "07700 900 456"),
    ("phone", "08002986030"),
    ("card", "4539 1488 0343 6467"),
    ("card", "5555555555554444"),
    ("card", "3714-496353-98431"),
    ("card", "6011000990139424"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB82WEST12345698765432"),
    ("iban", "fr1420041010050500013m02606"),
    ("ssn", "460-89-9847"),
    ("ip", "106.31.73.20"),
    ("ip", "6e40:4041:c617:e898:c11:40d2:c669:2eb4"),
    ("credential", "AKIA2OGYBAH6STMMNXWQ"),
    ("credential", "ghp_" + "aB3xY7kLm9" * 3 + "pQ2rS4"),
    ("credential", "sk-proj-" + "Ab3dEf6hIj" * 4),
    ("credential", "xoxb-123456789012-abcdefGHIJ"),
    ("credential", "AIzaSyD-" + "9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
    ("credential", "hf_" + "AbCdEfGhIjKlMnOpQr" + "StUvWxYzAbCdEfGh"),
    ("credential", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"),
]

NOT_PRIVATE = [
    "My order number is 898204683, item 4006381333931, ticket #0049301234567",
    "invoice no. 0301234567 of 2024-03-11 12:30:45",
    "He had 450000-2000=448000 left and paid $1,250,000 for 300 - 200 - 400",
    "48/2 = <<48/2=24>>24 clips; 3.14159265358979 and 1e10 and 0.123456789",
    "from 1914-1918 to 2010 - 2011, on 12/05/2024 and 2024-12-05 at 10:00:00",
    "version 1.2.3.4, host 192.168.0.1, loopback 127.0.0.1, RFC 5737's 203.0.113.7",
    "ISBN 978-3-16-148410-0, DOI 10.1000/182, arXiv:2112.11446, RFC 2606",
    "card 4539 1488 0343 6468 fails its check digit",
    "IBAN DE88 3704 0044 0532 0130 00 fails its check digits",
    "000-12-3456 and 666-12-3456 were never issued",
    "someone@example.com, you@localhost, icon@2x.png, git@github.com:a/b.git",
    "AKIAIOSFODNN7EXAMPLE is the key in Amazon's documentation",
    "password = os.environ['DATABASE_PASSWORD_2024']",
    "token: your_secret_token_goes_here_1234",
    "import secrets; api_key = get_api_key_from_vault_v2()",
    "a = 1600000000000; b = 1700000000000 # milliseconds",
    "SHA-256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "You find it under 094.334.954. I ordered it under 077.652.418, thanks",
    "I can't pair it with my phone. My order number is 33503-34",
    "Answer me, call me today! My order: 47296-22",
    "I cannot live without it, call now! Order 2026-30812",
    "so call now!\nKarl: (order 415.719.336)",
    "Bimuto 91A Microphone\nNumber = 3720205",
    "coordinates 48.2082, 16.3738; 52.5200, 13.4050",
]


@pytest.mark.parametrize(("kind", "value"), PRIVATE, ids=lambda value: value[:12])
def test_private_data_are_found_and_masked(kind: str, value: str) -> None:
    text = f"Please use {value}, thank you."
    assert [(f.kind, text[f.start : f.end]) for f in private_data(text)] == [(kind, value)]
    assert masked(text) == f"Please use {MASKS[kind]}, thank you."
    shown = visible.masked(text)
    assert len(shown) == len(text)
    assert not set(re.findall(r"\w{3,}", value)) & set(re.findall(r"\w{3,}", shown))


@pytest.mark.parametrize("text", NOT_PRIVATE, ids=lambda text: text[:24])
def test_what_only_looks_private_is_left_alone(text: str) -> None:
    assert private_data(text) == []
    assert masked(text) == text


@pytest.mark.parametrize(
    ("before", "found"),
    [("call me on ", True), ("Phone: ", True), ("tel ", True), ("order ", False), ("", False)],
)
def test_seven_digits_are_a_phone_only_where_one_says_so(before: str, found: bool) -> None:
    assert bool(private_data(f"{before}467 3395 today")) == found


@pytest.mark.parametrize("lead", ["My number is ", "her new number: ", "Phone:\n", "Tel. "])
def test_a_number_of_one_s_own_is_a_phone_s_if_it_has_the_shape(lead: str) -> None:
    assert [f.kind for f in private_data(f"Please! {lead}0831 538631.")] == ["phone"]
    assert private_data("Please! My order number is 0831538631.") == []
    assert private_data("Please! My number is 898204683.") == []


def test_the_phones_of_the_quickstart_are_told_from_its_order_numbers() -> None:
    """Its generator writes `0ddd dddddd` for phones; orders are digits, grouped or not."""
    found, known = set(), set()
    for name in ("train", "test"):
        lines = (QUICKSTART / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for line, text in enumerate(lines):
            mail = text.partition('"role": "assistant"')[0]
            known |= {(name, line, x) for x in re.findall(r"(?<!\d)0\d{3} \d{6}(?!\d)", mail)}
            places = (f for f in private_data(mail) if f.kind == "phone")
            found |= {(name, line, mail[f.start : f.end]) for f in places}
    orders = re.compile(r"\d{3,4}\.\d{3}\.\d{3}|\d{9}|\d{5}-\d\d")
    assert not [each for each in found if orders.fullmatch(each[2])]
    assert len(found & known) >= 0.99 * len(found)
    assert len(found & known) >= 0.97 * len(known)


def test_a_private_key_is_one_find_from_begin_to_end() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK=\n-----END RSA PRIVATE KEY-----"
    assert masked(f"my key:\n{key}\nbye") == "my key:\n[CREDENTIAL]\nbye"
    assert masked("-----BEGIN PRIVATE KEY-----\ncut off") == "[CREDENTIAL]\ncut off"


def test_a_random_value_of_a_password_is_only_possible() -> None:
    text = 'db:\n  password: "hX93!kLmQ2#vTz8pWd"\n  password_hint: my first dog and my cat\n'
    assert [f.kind for f in private_data(text)] == ["possible_credential"]
    assert masked(text).count("[CREDENTIAL]") == 1


def test_several_kinds_in_one_text_do_not_overlap() -> None:
    text = ";\n".join(value for _kind, value in PRIVATE)
    found = private_data(text)
    assert [f.kind for f in found] == [kind for kind, _value in PRIVATE]
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_a_row_is_masked_in_every_text_and_nowhere_else() -> None:
    call = {"function": {"name": "send", "arguments": '{"to": "jana@posta.cz"}'}, "id": "c1"}
    row = {
        "messages": [
            {"role": "user", "content": "mail jana@posta.cz"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ],
        "weight": 2,
    }
    text = str(redacted(row))
    assert "jana" not in text
    assert text.count("[EMAIL]") == 2
    assert redacted(row)["weight"] == 2
    assert row["messages"][0]["content"] == "mail jana@posta.cz"


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("aB3 @.-+()/_=:,\n€ü4539148803436467"), max_size=200))
def test_masking_twice_changes_nothing_and_keeps_the_rest(text: str) -> None:
    once = masked(text)
    assert masked(once) == once
    last = 0
    for found in private_data(text):
        assert last <= found.start < found.end <= len(text)
        assert text[last : found.start] in once
        last = found.end


HOSTILE = ["a", "1", "@", "a@", "a.", "1-", "1 ", "+(", "((", "Aa1", "-----BEGIN PRIVATE KEY-----"]
HOSTILE += ["password=", "token:", "a@a.", "1.1.", "f:", "GB82", "sk-", "eyJ", "0800 ", "\u00c3"]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """Ten times the text may take ten times as long; catastrophic patterns take a hundred."""

    def seconds(characters: int) -> float:
        text = (unit * characters)[:characters] + "!"
        start = time.process_time()
        private_data(text)
        return time.process_time() - start

    assert seconds(200_000) < 2.0
