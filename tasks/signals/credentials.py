"""Keys and passwords: shapes that a provider documents, and assignments of random-looking values.

A known shape is a `credential`; a long random value assigned to a word like `secret` is only a
`possible_credential`. Shapes as of 2026-11: the providers' own pages and the public rules of
gitleaks (github.com/gitleaks/gitleaks, MIT), written anew here with bounded repeats.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

__all__ = ["credentials"]

PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]{0,8000}-----END [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----)?"
)

#: What a text must contain for its pattern to be tried; a plain search costs next to nothing.
SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (anchor, re.compile(pattern))
    for anchor, pattern in (
        ("AKIA", r"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])"),
        ("ASIA", r"(?<![A-Z0-9])ASIA[A-Z2-7]{16}(?![A-Z0-9])"),
        ("ghp_", r"\bghp_[A-Za-z0-9]{36}\b"),
        ("gho_", r"\bgho_[A-Za-z0-9]{36}\b"),
        ("ghs_", r"\bghs_[A-Za-z0-9]{36}\b"),
        ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,90}"),
        ("glpat-", r"\bglpat-[\w-]{20,40}"),
        ("sk-", r"(?<![\w-])sk-(?:proj-|svcacct-|ant-|or-v1-)?(?=[\w-]{0,200}\d)[\w-]{32,200}"),
        ("sk_live_", r"\bsk_live_[A-Za-z0-9]{16,100}"),
        ("rk_live_", r"\brk_live_[A-Za-z0-9]{16,100}"),
        ("xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,100}"),
        ("hooks.slack.com", r"hooks\.slack\.com/services/T\w{6,12}/B\w{6,12}/\w{16,32}"),
        ("AIza", r"\bAIza[\w-]{35}(?![\w-])"),
        ("ya29.", r"\bya29\.[\w-]{20,200}"),
        ("hf_", r"\bhf_[A-Za-z]{34}\b"),
        ("npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("pypi-", r"\bpypi-AgEIcHlwaS5vcmc[\w-]{50,200}"),
        ("SG.", r"\bSG\.[\w-]{22}\.[\w-]{43}(?![\w-])"),
        ("eyJ", r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}"),
        ("PRIVATE KEY", PRIVATE_KEY),
    )
)

#: A digit as tenth character of a word or later, with a letter among the ten: all long random
#: values but those of letters only, and no sum.
LONG = re.compile(r"[0-9](?<=[\w+/=!@#$%^&*.~-]{10})(?<![0-9+/=$%*.~-]{10})")
SHAPES_OF_LETTERS = tuple(
    shape for shape in SHAPES if shape[0] in ("AKIA", "ASIA", "hf_", "PRIVATE KEY")
)

WORDS = ("secret", "token", "passw", "pwd", "api_key", "apikey", "api-key", "access_key")
ASSIGNED = re.compile(
    r"(?i)(?:secret|token|passwo?r?d?|pwd|api[_-]?key|access[_-]?key)[\w-]{0,20}[\"']?\s{0,3}"
    r"(?:=>|:=|=|:)\s{0,3}[\"']?([A-Za-z0-9+/=_.~!@#$%^&*-]{16,200})"
)
#: Values that stand for a value, not for a secret.
STAND_IN = re.compile(
    r"(?i)example|sample|dummy|changeme|your|here|x{4}|\*{3}|test|placeholder|1234|abcd"
    r"|os\.|env|get|config|self\.|request|response|process\.|\(|user|none|null|true|false"
)
#: Bits a character of a random value has at least; English words have about 3.
RANDOM_BITS = 3.5


def credentials(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield ("credential" or "possible_credential", start, end)."""
    long = LONG.search(text) is not None
    for anchor, pattern in SHAPES if long else SHAPES_OF_LETTERS:
        if anchor in text:
            for match in pattern.finditer(text):
                if not _stands_in(match.group()):
                    yield "credential", match.start(), match.end()
    if long and ("=" in text or ":" in text) and any(map(text.lower().__contains__, WORDS)):
        for match in ASSIGNED.finditer(text):
            if _looks_random(match[1]):
                yield "possible_credential", match.start(1), match.end(1)


def _stands_in(value: str) -> bool:
    """Say whether a key of the right shape is a documentation's: AWS's own ends in EXAMPLE."""
    return "EXAMPLE" in value or len(set(value)) < 10


def _looks_random(value: str) -> bool:
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and not STAND_IN.search(value) and _bits(value) >= RANDOM_BITS


def _bits(value: str) -> float:
    """Return the Shannon entropy of a value's characters: 3.0 for "abcdefgh", 0 for "aaaa"."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
