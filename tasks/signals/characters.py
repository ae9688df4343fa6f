"""Damaged characters: text decoded with the wrong encoding, and characters nobody can see.

Mojibake is UTF-8 that was read as Latin-1, Windows-1252 or Windows-1251: "Â°" for "°", "â€œ" for
an opening quote. Read the wrong way back it becomes valid UTF-8, which real text of two or more
such characters hardly ever does; ftfy (Speer 2019, zenodo.org/records/2591652) repairs by the same
idea. Here it is only found, never repaired.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter

__all__ = [
    "SCRIPTS",
    "bidi_controls",
    "control_characters",
    "mojibake",
    "replacement_characters",
    "script_of",
    "zero_width",
]

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
#: The byte order mark, word joiners and joiners.
ZERO_WIDTH = re.compile(r"[\u180e\u200b-\u200d\u2060-\u2064\ufeff]")
#: Joiners are writing between letters of Indic or Arabic script and in emoji, not in Latin text.
JOINERS = "\u200c\u200d"
#: Embeddings, overrides and isolates: they can show code in another order than it runs in
#: (CVE-2021-42574, "Trojan Source").
BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")

#: Windows-1252 characters of the bytes 0x80 to 0xBF: what a UTF-8 continuation byte looks like.
#: The five bytes it leaves undefined appear as C1 controls.
TAIL = (
    "\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019"
    "\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178\u0080-\u00bf"
)
MISREAD = re.compile(rf"[\u00c2-\u00f4][{TAIL}]{{1,3}}")
#: Quotes and dashes that may follow a capital at the end of a word: "IRM\u00c3\u201d" in capitals.
CLOSERS = "\u2026\u2018\u2019\u201c\u201d\u2013\u2014\u2122\u00ab\u00bb\u00a0\u00b7\u203a"
CYRILLIC_MISREAD = re.compile(
    r"[\u0420\u0421][\u0402\u0403\u201a\u0453\u201e\u2026\u2020\u2021\u20ac\u2030\u0409\u2039"
    r"\u040a\u040c\u040b\u040f\u0452\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u2122\u0459\u203a"
    r"\u045a\u045c\u045b\u045f\u00a0\u040e\u045e\u0408\u00a4\u0490\u00a6\u00a7\u00a9\u0404\u00ab"
    r"\u00ac\u00ad\u00ae\u0407\u00b0\u00b1\u0406\u0456\u0491\u00b5\u00b6\u00b7\u2116\u0454\u00bb"
    r"\u0458\u0405\u0455\u0457\u0451]"
)
#: UTF-8's mark of an unreadable character twice, read as GBK; and a quote whose last byte was lost.
KNOWN = re.compile("\u951f\u65a4\u62f7|\u00e2\u20ac|\u00ef\u00bf\u00bd|\u00ef\u00bb\u00bf")

#: Where each script begins in Unicode 16, coarsely: (first code point, script's number below).
SCRIPTS = (
    *("none", "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Devanagari"),
    *("Bengali", "Gurmukhi", "Gujarati", "Odia", "Tamil", "Telugu", "Kannada", "Malayalam"),
    *("Sinhala", "Thai", "Lao", "Tibetan", "Burmese", "Georgian", "Hangul", "Ethiopic", "Khmer"),
    *("Mongolian", "Kana", "Han"),
)
STARTS = (
    *((0x0000, 0), (0x0041, 1), (0x005B, 0), (0x0061, 1), (0x007B, 0), (0x00C0, 1), (0x0250, 1)),
    *((0x02B0, 0), (0x0370, 2), (0x0400, 3), (0x0530, 4), (0x0590, 5), (0x0600, 6), (0x07C0, 0)),
    *((0x0900, 7), (0x0980, 8), (0x0A00, 9), (0x0A80, 10), (0x0B00, 11), (0x0B80, 12)),
    *((0x0C00, 13), (0x0C80, 14), (0x0D00, 15), (0x0D80, 16), (0x0E00, 17), (0x0E80, 18)),
    *((0x0F00, 19), (0x1000, 20), (0x10A0, 21), (0x1100, 22), (0x1200, 23), (0x13A0, 0)),
    *((0x1780, 24), (0x1800, 25), (0x18B0, 0), (0x1E00, 1), (0x1F00, 2), (0x2000, 0)),
    *((0x3041, 26), (0x3100, 0), (0x3130, 22), (0x3190, 0), (0x31F0, 26), (0x3200, 0)),
    *((0x3400, 27), (0x4DC0, 0), (0x4E00, 27), (0xA000, 0), (0xAC00, 22), (0xD7B0, 0)),
    *((0xF900, 27), (0xFB00, 0), (0xFB1D, 5), (0xFB50, 6), (0xFE00, 0), (0xFE70, 6), (0xFF00, 0)),
    *((0xFF66, 26), (0xFFA0, 0), (0x20000, 27), (0x32000, 0)),
)
FIRST = [first for first, _script in STARTS]
LATIN = SCRIPTS.index("Latin")
#: Letters a text needs before its script is told, and how many characters are looked at.
ENOUGH_LETTERS = 8
EIGHT_LETTERS = re.compile(r"(?:[^A-Za-z]*+[A-Za-z]){8}")
LOOKED_AT = 400


def mojibake(text: str) -> int:
    """Return how many misread characters there are; 1 for "20 Â°C", 0 for "SÃO PAULO"."""
    if text.isascii():
        return 0
    found = len(KNOWN.findall(text))
    found += sum(_was_utf8(text, match) for match in MISREAD.finditer(text))
    # Russian has such pairs too, but hardly three of them.
    pairs = len(CYRILLIC_MISREAD.findall(text)) if "\u0420" in text or "\u0421" in text else 0
    return found + (pairs if pairs > 2 and pairs * 8 > len(text) - 400 else 0)


def _was_utf8(text: str, match: re.Match[str]) -> bool:
    """Say whether a lead byte and the right number of continuation bytes were read as characters."""
    run = match.group()
    if run[:2] == "\u00e2\u20ac":  # counted as known
        return False
    length = 2 if run[0] < "\u00e0" else 3 if run[0] < "\u00f0" else 4
    if len(run) < length:
        return False
    if length == 2 and run[1] in CLOSERS and run[0] != "\u00c2":
        before = text[match.start() - 1 : match.start()]
        if before.isupper() or (run[0] != "\u00c3" and not before.strip()):
            return False
    data = bytearray()
    for character in run[:length]:
        try:
            data += character.encode("cp1252")
        except UnicodeEncodeError:
            data += character.encode("latin-1")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def control_characters(text: str) -> int:
    """Return how many C0 and C1 controls there are, tab, line ends and NEL aside."""
    return len(CONTROL.findall(text)) if CONTROL.search(text) else 0


def zero_width(text: str) -> int:
    """Return how many characters without a width there are that no script needs."""
    if text.isascii():
        return 0
    return sum(
        match.group() not in JOINERS or text[match.start() - 1 : match.start()].isascii()
        for match in ZERO_WIDTH.finditer(text)
    )


def bidi_controls(text: str) -> int:
    """Return how many characters that override the writing direction there are."""
    return 0 if text.isascii() else len(BIDI.findall(text))


def replacement_characters(text: str) -> int:
    """Return how many U+FFFD there are: characters that a decoder could not read and gave up."""
    return text.count("\ufffd")


def script_of(text: str) -> int:
    """Return the number of the script most letters are of; 0 for fewer than eight letters."""
    shown = text[:LOOKED_AT]
    if shown.isascii():
        return LATIN if EIGHT_LETTERS.match(shown) else 0
    scripts: Counter[int] = Counter()
    for character, count in Counter(shown).items():
        scripts[STARTS[bisect_right(FIRST, ord(character)) - 1][1]] += count
    del scripts[0]
    # Kana stands between Han in Japanese, and is what tells it from Chinese.
    kana, han = SCRIPTS.index("Kana"), SCRIPTS.index("Han")
    if scripts[kana]:
        scripts[kana] += scripts.pop(han, 0)
    script, count = max(scripts.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
    return script if count >= ENOUGH_LETTERS else 0
