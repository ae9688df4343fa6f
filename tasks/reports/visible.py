"""Text of the data as people may see it: nothing hidden acts, and nothing personal is readable.

Data are hostile: a control character can move the cursor of a terminal, a bidirectional mark can
turn a line round, and a zero-width space looks like nothing. Each is shown as a symbol. What looks
like an address, a number of somebody's or a key is masked, one dot for each letter, so that
positions stay what they were: what the privacy checks find (`tasks/signals/`), which are made not
to cry wolf, and shapes that only resemble it, for on a page nobody is hurt by a dot too many.
"""

from __future__ import annotations

import html
import re
import unicodedata

from tasks.signals.redaction import private_data

__all__ = ["escaped", "masked", "shortened", "visible"]

#: All letters and digits but a first one.
DOTTED = re.compile(r"(?<!^)\w")
#: The same for every control character: the picture Unicode has for it (U+2400 and on).
PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
#: Line breaks stay line breaks and are shown as well; zero-width joiners are part of many scripts.
PICTURES |= {0x0A: "\n", 0x09: "\t"}
JOINERS = "\u200c\u200d"
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

PERSONAL = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # e-mail
            r"\b(?:sk|pk|rk|ghp|gho|ghs|hf|xox[abp]|glpat|AKIA|ASIA|AIza)[-_]?[\w-]{12,}",  # keys
            r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+",  # JSON web token
            r"(?<!\w)(?!\d{4}-\d\d-\d\d\b)\+?\d(?:[ ()./-]{0,2}\d){6,}(?!\w)",  # telephone, card; no date
            r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",  # IBAN
            r"\b(?=[\w+/-]{0,99}\d)(?=[\w+/-]{0,99}[A-Za-z])[A-Za-z0-9+/_-]{28,}={0,2}",  # long mixed token
        )
    )
)


def visible(text: str) -> str:
    """Return text in which no character acts: controls and invisible ones become symbols."""
    plain = text.translate(PICTURES)
    if plain.isascii():
        return plain
    return "".join(
        character
        if character in JOINERS + "\n\t" or unicodedata.category(character) not in HIDDEN
        else f"⟨U+{ord(character):04X}⟩"
        for character in plain
    )


def masked(text: str) -> str:
    """Return text of the same length in which what looks personal or secret is dots.

    Whatever the privacy checks find is masked, and what only looks like it.
    """
    for found in private_data(text):
        dots = DOTTED.sub("•", text[found.start : found.end])
        text = text[: found.start] + dots + text[found.end :]
    return PERSONAL.sub(lambda found: DOTTED.sub("•", found[0]), text)


def shortened(text: str, characters: int) -> str:
    """Return at most that many characters on one line, masked and visible."""
    flat = " ".join(masked(text[: 4 * characters]).split())
    return visible(flat[:characters]) + ("…" if len(flat) > characters else "")


def escaped(text: str) -> str:
    """Return text that neither Markdown nor HTML reads as markup, on one line."""
    flat = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", flat)
