"""What is wrong with an answer as an answer: refused, empty in words, repeated, copied, broken JSON.

Repetition after Rae et al. 2021 (arXiv:2112.11446, table A1), who drop documents in which
repeated lines or 5-grams make up 15 to 30 % of the text; answers are short and lists and code
repeat by nature, so what counts here is how much, and the check's limit is higher.
"""

from __future__ import annotations

import json
import re
import unicodedata
from hashlib import blake2b

__all__ = ["echo", "empty_like", "json_answer", "labels_of", "refusal", "repetition_percent"]

#: Refusals stand at the beginning.
HEAD = 300
#: Of these one must be there before the sentences are looked for.
ANCHORS = (
    "i can",
    "i am",
    "i'm",
    "sorry",
    "unable",
    "as an ai",
    "language model",
    "cutoff",
    "openai",
)
UNABLE = (
    r"(?:can(?:'t|not| not)\b|unable|not able|won't|don't have|do not have|not (?:capable|programmed)"
    r"|am not\b|lack the)"
)
REFUSALS = re.compile(
    r"(?:\bas an? |\bi(?:'m| am) (?:just |only )?an? )(?:large |responsible |ethical )?"
    rf"(?:ai\b|artificial intelligence|language model).{{0,150}}{UNABLE}"
    rf"|\bi(?:'m| am)(?: really| very| so)? sorry,? (?:but )?(?:i|as|that)\b.{{0,30}}{UNABLE}"
    r"|\bi (?:cannot|can't|can not|am unable to|am not able to|won't)"
    r" (?:assist|help (?:you (?:with|to)|with (?:that|this|your))|provide|fulfil|comply|engage"
    r"|create content|answer (?:that|this)|do that|discuss|share (?:that|personal))"
    r"|\bmy (?:training data|knowledge cutoff|last (?:knowledge )?update)\b|\bopenai'?s? polic",
    re.S,
)
OTHER_REFUSALS = re.compile(
    r"\bals (?:ki|künstliche intelligenz|sprachmodell|ki-sprachmodell)|tut mir leid,? (?:aber )?ich kann"
    r"|désolée?,? (?:mais )?je ne (?:peux|suis)|en tant qu(?:e modèle de langage|'ia\b|'intelligence)"
    r"|lo siento,? (?:pero )?no puedo|como (?:modelo de lenguaje|una? (?:ia|inteligencia artificial))"
    r"|作为(?:一个|一名)?(?:ai|人工智能|语言模型|大型语言模型)|抱歉[,\uff0c]?我(?:无法|不能)|申し訳(?:ありません|ございません)が"
    r"|как (?:языковая модель|ии\b|искусственный интеллект)"
)
OTHER_ANCHORS = ("als ki", "tut mir leid", "en tant qu", "lo siento", "como ")
TYPOGRAPHIC = str.maketrans("\u2019\u2018", "''")

NOTHING = frozenset(
    (
        "nan",
        "null",
        "undefined",
        "n/a",
        "#n/a",
        "#ref!",
        "nil",
        "<na>",
        "nat",
        "todo",
        "tbd",
        "fixme",
    )
)
PERHAPS_NOTHING = frozenset(
    (
        "none",
        "na",
        "empty",
        "unknown",
        "no answer",
        "no response",
        "not available",
        "blank",
        "error",
    )
)

#: An answer of at most this many characters may be a label.
LABEL_CHARS = 64
GRAM = 5
FEWEST_WORDS = 20
FEWEST_LINES = 4
#: Characters of an answer below which it cannot repeat itself, and that are looked at.
SHORTEST = 40
LOOKED_AT = 2000


def refusal(answer: str) -> int:
    """Return 1 for an answer that refuses or speaks of itself as a model."""
    head = answer[:HEAD].lower()
    ascii_only = head.isascii()
    if ascii_only or "\u2019" in head:
        plain = head if ascii_only else head.translate(TYPOGRAPHIC)
        if any(map(plain.__contains__, ANCHORS)) and REFUSALS.search(plain):
            return 1
    return int(OTHER_REFUSALS.search(head) is not None) if _other_language(head) else 0


def _other_language(head: str) -> bool:
    return not head.isascii() or any(map(head.__contains__, OTHER_ANCHORS))


def empty_like(answer: str) -> int:
    """Return 2 for a word that stands for a missing value, 1 for one that may be an answer."""
    if len(answer) > 32:
        return 0
    word = answer.strip().strip("\"'().[]{}<>-\u2013\u2014_*").casefold()
    if word in NOTHING or answer.strip().casefold() in NOTHING:
        return 2
    if word in PERHAPS_NOTHING:
        return 1
    return 0 if any(unicodedata.category(c)[0] in "LNS" for c in answer) else 2


def repetition_percent(answer: str) -> int:
    """Return how much of the answer's end says again what it said, in percent of words or lines.

    A word counts if it stands in a 5-gram that came before; a line, if the same line of eight or
    more characters did. 0 below 20 words and 4 lines: "a b c d e" eight times over is 88. A model
    that loops does so until it is stopped, so the last 2,000 characters tell.
    """
    if len(answer) < SHORTEST:
        return 0
    end = answer[-LOOKED_AT:]
    repeated = 0.0
    if end.count("\n") >= FEWEST_LINES - 1:
        lines = [line for line in end.split("\n") if len(line) > 7]
        if len(lines) >= FEWEST_LINES:
            repeated = 1 - len(set(lines)) / len(lines)
    words = end.split()
    # A text of which half is repeated has at most half as many different words as words.
    if len(words) >= FEWEST_WORDS and len(set(words)) < 0.5 * len(words):
        repeated = max(repeated, _repeated_words(words))
    return round(100 * repeated)


def _repeated_words(words: list[str]) -> float:
    grams = list(zip(*(words[start:] for start in range(GRAM)), strict=False))
    again, covered = 0, 0
    seen: set[tuple[str, ...]] = set()
    for place, gram in enumerate(grams):
        if gram in seen:
            again += place + GRAM - max(covered, place)
            covered = place + GRAM
        seen.add(gram)
    return again / len(words)


def json_answer(answer: str) -> int:
    """Return 1 for an answer that is a JSON object or array, 2 for one that begins so and is none."""
    text = answer.strip()
    if text[:1] not in ("{", "["):
        return 0
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return 2
    return 1


def echo(prompt: str, answer: str) -> int:
    """Return 1 if the answer is the prompt again."""
    if len(answer) < 16 or prompt.strip()[:8].casefold() != answer.strip()[:8].casefold():
        return 0
    return int(" ".join(prompt.split()).casefold() == " ".join(answer.split()).casefold())


def labels_of(answer: str) -> tuple[int, int]:
    """Return hashes of a short answer: as it is, and with case, space and edges folded; else 0."""
    if not answer or len(answer) > LABEL_CHARS or "\n" in answer.strip():
        return 0, 0
    folded = " ".join(answer.casefold().replace("_", " ").replace("-", " ").split()).strip(" .!")
    return _hash(answer), _hash(folded)


def _hash(text: str) -> int:
    """Return 63 bits of a text, never 0, the same on every machine."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 1) or 1
