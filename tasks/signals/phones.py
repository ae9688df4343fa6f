"""Phone numbers: a shape that only phones have, or seven digits with a word for phones before them.

Order numbers, dates, sums and article numbers are runs of digits too, so a run alone is nothing.
Shapes: E.164 (+ and country code), the North American plan (NXX-NXX-XXXX, N from 2 to 9), and
national numbers with a trunk 0 in ten or eleven digits or in four groups. A word counts only within
the sentence: "with my phone. Order 2026-30812" calls nobody. A heuristic; what it finds and misses
is measured in docs/data_gate.md.
"""

from __future__ import annotations

import re

__all__ = ["is_phone"]

EXTENSION = re.compile(r"\s?(?:x|ext\.?)\s?\d{1,6}")
NORTH_AMERICAN = re.compile(
    r"(?:(?:\+?1|001)[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}"
)
TRUNK = re.compile(r"\(?0[1-9]\d{0,4}\)?(?:[-. /]?\d{2,8}){1,5}")
DATE = re.compile(
    r"(?:(?:1[89]|20)\d\d([-/. ])[01]?\d\1[0-3]?\d|[0-3]?\d([-/. ])[0-3]?\d\2(?:1[89]|20)?\d\d"
    r"|(?:1[5-9]|20)\d\d ?[-/ ] ?(?:1[5-9]|20)\d\d)(?: .*)?"
)
CALL = re.compile(
    r"(?i)(?:(?<!micro)phone|\btel\b\.?|telefon|t[eé]l[eé]phone|\bcall(?:ed|ing|s)?\b|mobile|mobil"
    r"|\bcell|\bfax|\bdial|\bsms\b|\btext\b|whats\s?app|\bring\b|handy|contact|reach (?:me|us)"
    r"|rufnummer|hotline|helpline|answering at|电话|手机|電話)[^\d.!?\n()]{0,24}(?::\s{0,4})?\(?\Z"
)
#: A number of one's own; of a shape that only phones have, for orders have owners too.
OWN = re.compile(r"(?i)\b(?:my|our|his|her) (?:new |private |work )?number(?: is|:| was)?\W{0,3}\Z")
#: What a list of numbers says behind each.
DESK = re.compile(r"(?i)[\s,\-(]{0,2}(?:office|fax|mobile|cell|home|work|desk)\b")
NUMBERED = re.compile(
    r"(?i)(?:order|invoice|ticket|tracking|account|customer|case|serial|isbn|issn|part|model|ref"
    r"|reference|\bids?|\bno|number|sku|code|version|article|doi|arxiv|pmid|zip|bestell\w*|rechnung"
    r"|kunden\w*|nr)\b\W{0,3}(?:(?:number|no|nr|ids?|code|is|was)\b\W{0,3}){0,3}\Z"
)
#: Words that people write without a space before a number.
GLUED = ("call", "help", "tel", "ring", "phone", "fax")
NOT_BEFORE = frozenset("$€£¥#=*/%^<>_.'\"\\&@+-")
NOT_AFTER = frozenset("%=$€£¥°*/^_@+")


def is_phone(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where the number at this place begins and ends if people can be called by it."""
    while start and text[start - 1] in "+(" and text[start] != "+":
        start -= 1
    before = text[start - 1 : start]
    if (before and before in NOT_BEFORE) or before.isdigit():
        return None
    if before == "," and text[start - 2 : start - 1].isdigit():
        return None
    lead = text[max(0, start - 40) : start]
    if before.isalpha() and not lead.lower().endswith(GLUED):
        return None
    last_space = text.rfind(" ", start, end)
    for stop in (end, last_space) if last_space - start >= 10 else (end,):
        after = text[stop : stop + 1]
        if not (after and after in NOT_AFTER) and _is_called(
            text[start:stop], lead, text[stop : stop + 12]
        ):
            extension = EXTENSION.match(text, stop)
            return start, extension.end() if extension else stop
    return None


def _is_called(number: str, lead: str, behind: str) -> bool:
    digits = "".join(filter(str.isdigit, number))
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3 or DATE.fullmatch(number):
        return False
    if _has_shape(number, digits):
        wanted = OWN.search(lead) or CALL.search(lead)
        return wanted is not None or not NUMBERED.search(lead)
    if behind[:1].isalnum():
        return False
    return CALL.search(lead) is not None or DESK.match(behind) is not None


def _has_shape(number: str, digits: str) -> bool:
    if number[0] == "+" or number.startswith("(+"):
        return len(digits) >= 8 and digits[0] != "0"
    if NORTH_AMERICAN.fullmatch(number):
        return True
    groups = len(re.findall(r"\d+", number))
    national = 10 <= len(digits) <= 11 or (len(digits) == 9 and groups > 3)
    return national and not number.startswith("0.") and TRUNK.fullmatch(number) is not None
