"""What was meant to be gone before training: markup, placeholders, merge conflicts, other templates.

In a row about code the same characters are its subject; there they are not counted. Telling the
two apart is a heuristic, measured in docs/data_gate.md.
"""

from __future__ import annotations

import re

__all__ = [
    "chat_markup",
    "conflict_markers",
    "html_leftovers",
    "open_fence",
    "placeholders",
    "urls",
]

ENTITY = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|[lr][sd]quo|[mn]dash|hellip|copy|reg|trade|euro|pound"
    r"|[aeiouAEIOU](?:acute|grave|circ|uml)|[cC]cedil|[nN]tilde|szlig|#\d{2,6}|#x[0-9A-Fa-f]{2,5});"
)
TAG = re.compile(
    r"</?(?:p|br|div|span|b|i|u|em|strong|a|ul|ol|li|h[1-6]|table|tr|td|font|img|blockquote|center)"
    r"(?:\s[^<>]{0,400})?/?>",
    re.I,
)
MARKUP_IS_THE_SUBJECT = re.compile(
    r"(?i)\bhtml|\bxml|\bcss\b|\bdom\b|javascript|jsx\b|react|angular|\bvue|\bsvg|<!doctype"
    r"|<script|markup|web ?page|website|web ?site|\bphp\b|\btags?\b|```|markdown|\bescap"
)

CODE_WORDS = (
    *(
        "```",
        "def ",
        "import ",
        "print(",
        "function",
        "=>",
        "const ",
        "#include",
        ";\n",
        "console.",
    ),
    *("format(", "\\begin{", "\\frac", "template", "placeholder", "jinja", "f-string", "regex"),
    *("SELECT ", "endpoint", "URL", "API", "</"),
)
CODE = re.compile(r"\breturn\b.*[;:(]|\bf[\"']|\bclass \w+[:({]|\$\w|\bcurl\b|\bvar \w|\bset of\b")
#: {{name}}, {first_name}, ${user}, <INSERT NAME>, [Your Name], %%NAME%%, lorem ipsum.
BRACED = re.compile(
    r"\{\{ ?[A-Za-z_][\w. -]{0,40} ?\}\}|\{(?<![\w\\$}\]^_#({'\"=]\{)[a-z_]\w{1,30}\}"
)
ANGLED = re.compile(
    r"<(?:INSERT|YOUR|ENTER|ADD|FILL)[ _][^<>\n]{0,60}>"
    r"|<(?:[A-Z]{2,20}_)?(?:NAME|DATE|COMPANY|ADDRESS|PLACEHOLDER|TODO)>"
)
SQUARED = re.compile(
    r"\[(?:(?:insert|enter|your|add|fill in|company|customer|client|recipient|sender|employee)"
    r"[ _'\u2019][^\[\]\n]{1,50}|(?:your|first|last|full|company|customer|user|brand|product)[ _]?name"
    r"|INSERT|TODO|TBD|PLACEHOLDER|NAME|DATE|COMPANY)\](?!\()",
    re.I,
)
MARKED = re.compile(r"%%[A-Z_]{3,30}%%|\b[Ll]orem ipsum dolor|(?m:^(?:TODO|TBD|FIXME|XXX)\b)")

MARKED_BY = ("TODO", "TBD", "FIXME", "XXX", "%%", "orem ipsum")

CONFLICT = re.compile(r"(?m)^(?:<{7}|>{7})(?: \S|$)")

#: Tokens and headings by which one template or another marks turns.
MARKS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|begin_of_text|end_of_text"
    r"|user|assistant|system|end|return|channel|message)\|>|</?(?:start|end)_of_turn>|\[/?INST\]"
    r"|<<SYS>>|<</SYS>>|<\uff5c(?:User|Assistant|begin\u2581of\u2581sentence)"
)
MARKED_TURNS = ("<|", "INST]", "<SYS>", "_of_turn>", "<\uff5c")
NEXT_TURN = re.compile(
    r"\n(?:#{2,3} ?(?:Human|User|Instruction|Response|Assistant|Input)\b"
    r"|(?:Human|USER|User|ASSISTANT|Assistant): )"
)
URL = re.compile(r"https?://|www\.\w")


def html_leftovers(text: str) -> int:
    """Return how many HTML entities and tags stand in a text that is not about markup."""
    if "&" not in text and "</" not in text and "<" not in text:
        return 0
    count = len(ENTITY.findall(text)) if "&" in text else 0
    count += len(TAG.findall(text)) if ">" in text else 0
    return 0 if count and MARKUP_IS_THE_SUBJECT.search(text) else count


def placeholders(text: str) -> int:
    """Return how many names of things stand where the things should."""
    count = len(MARKED.findall(text)) if any(map(text.__contains__, MARKED_BY)) else 0
    if "<" in text:
        count += len(ANGLED.findall(text))
    if "[" in text:
        count += len(SQUARED.findall(text))
    braced = len(BRACED.findall(text)) if "{" in text else 0
    return 0 if count + braced and _about_code(text) else count + braced


def _about_code(text: str) -> bool:
    return any(map(text.__contains__, CODE_WORDS)) or CODE.search(text) is not None


def conflict_markers(text: str) -> int:
    """Return how many lines are marks of an unresolved merge."""
    found = "<<<<<<<" in text or ">>>>>>>" in text
    return len(CONFLICT.findall(text)) if found else 0


def chat_markup(whole: str, answer: str) -> int:
    """Return how many marks of a chat template stand in the text, and turns in the answer."""
    count = 0
    if "<" in whole or "INST]" in whole:
        count = len(MARKS.findall(whole)) if any(map(whole.__contains__, MARKED_TURNS)) else 0
    return count + len(NEXT_TURN.findall("\n" + answer)) if "\n" in answer else count


def open_fence(answer: str) -> int:
    """Return 1 if a code block of the answer is never closed: it was cut off."""
    return answer.count("```") % 2 if "```" in answer else 0


def urls(text: str) -> int:
    """Return how many web addresses there are."""
    return len(URL.findall(text)) if "://" in text or "www." in text else 0
