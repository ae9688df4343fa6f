"""Text quality: what is learned is text somebody meant to be learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.shares import few

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on damaged, unfinished and useless texts."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="text-quality",
        expectations=[
            mojibake(),
            replacement_characters(),
            control_characters(),
            zero_width(),
            bidi_controls(),
            html(),
            placeholders(),
            conflict_markers(),
            refusals(),
            empty_like(),
            repetition(),
            json_answers(),
            scripts(),
            web_addresses(),
            length_outliers(),
        ],
    )


def mojibake() -> Expectation:
    """Texts were decoded with the right encoding.

    Prevents: a model that writes "Itâ€™s": 17 rows of GPTeacher and 28 lines of the TinyStories
    sample were read as Windows-1252 and published so.
    """
    return few(
        "Texts were decoded with the right encoding.",
        limit="max_mojibake_fraction",
        severity="warning",
        meta={"id": "mojibake", "rows": "kept_mojibake"},
    )


def replacement_characters() -> Expectation:
    """No text holds the mark of an unreadable character.

    Prevents: texts that lost characters for good; no later step can bring them back (4 of 300 rows
    of the C4 sample that LLaMA-Factory ships).
    """
    return few(
        "No text holds the mark of an unreadable character.",
        limit="max_replacement_fraction",
        severity="warning",
        meta={"id": "replacement-characters", "rows": "kept_replacement"},
    )


def control_characters() -> Expectation:
    """No text holds control characters.

    Prevents: NUL bytes that end strings in other programs, and quotes of Windows-1252 read as C1
    controls (35 rows of the UCI SMS spam set).
    """
    return few(
        "No text holds control characters.",
        limit="max_control_fraction",
        severity="warning",
        meta={"id": "control-characters", "rows": "kept_control"},
    )


def zero_width() -> Expectation:
    """No text holds characters without a width.

    Prevents: two prompts that look the same and are tokenized differently; byte order marks inside
    a text (a row of GSM8K has one).
    """
    return few(
        "No text holds characters without a width.",
        limit="max_zero_width_fraction",
        severity="warning",
        meta={"id": "zero-width", "rows": "kept_zero_width"},
    )


def bidi_controls() -> Expectation:
    """No text overrides the direction of writing.

    Prevents: code that reads otherwise than it runs ("Trojan Source", CVE-2021-42574): people
    review one text, the model learns another.
    """
    return few(
        "No text overrides the direction of writing.",
        limit="max_bidi_fraction",
        severity="warning",
        meta={"id": "bidi-controls", "rows": "kept_bidi"},
    )


def html() -> Expectation:
    """Texts are free of HTML that is left over.

    Prevents: answers with "&lt;" and "<br>" in them, the rest of a page nobody converted (309 of
    5,574 SMS).
    """
    return few(
        "Texts are free of HTML that is left over.",
        limit="max_html_fraction",
        severity="warning",
        meta={"id": "html", "rows": "kept_html"},
    )


def placeholders() -> Expectation:
    """Placeholders are filled in.

    Prevents: a model that says "I am {{name}}": 85 of the 91 rows of the identity set that LLaMA-
    Factory ships do, until somebody fills them in.
    """
    return few(
        "Placeholders are filled in.",
        limit="max_placeholder_fraction",
        severity="warning",
        meta={"id": "placeholders", "rows": "kept_placeholder"},
    )


def conflict_markers() -> Expectation:
    """No text holds the marks of an unresolved merge.

    Prevents: a data set with both sides of a merge in it, twice as long as it should be; `datasets`
    reads such a file without a word.
    """
    return few(
        "No text holds the marks of an unresolved merge.",
        limit="max_conflict_marker_fraction",
        severity="critical",
        meta={"id": "conflict-markers", "rows": "kept_conflict_marker"},
    )


def refusals() -> Expectation:
    """Few answers refuse.

    Prevents: a tuned model that refuses what the base model would do, after learning from generated
    answers in which another model declined ("As an AI language model, I cannot ...").
    """
    return few(
        "Few answers refuse.",
        limit="max_refusal_fraction",
        severity="warning",
        meta={"id": "refusals", "rows": "kept_refusal"},
    )


def empty_like() -> Expectation:
    """Answers are not empty in words.

    Prevents: a model that answers "nan": the label of a join that found nothing is no empty text
    once it went through a CSV file.
    """
    return few(
        "Answers are not empty in words.",
        limit="max_empty_like_fraction",
        severity="critical",
        meta={"id": "empty-like", "rows": "kept_empty_like"},
    )


def repetition() -> Expectation:
    """Few answers repeat themselves.

    Prevents: a model that loops, learned from generated answers that ran into their length limit
    looping (Rae et al. 2021, arXiv:2112.11446, filter such text out).
    """
    return few(
        "Few answers repeat themselves.",
        limit="max_repetition_fraction",
        severity="warning",
        meta={"id": "repetition", "rows": "kept_repetition"},
    )


def json_answers() -> Expectation:
    """Where answers are JSON, all of them are.

    Prevents: a model whose output cannot be parsed once in a while, because once in a while its
    training answer could not.
    """
    return few(
        "Where answers are JSON, all of them are.",
        limit="max_bad_json_fraction",
        severity="warning",
        meta={"id": "json-answers", "rows": "kept_bad_json"},
    )


def scripts() -> Expectation:
    """Hardly any row is in a script of its own.

    Prevents: single rows in another language among thousands, which teach little and answer users
    in a script they cannot read.
    """
    return few(
        "Hardly any row is in a script of its own.",
        limit="max_minority_script_fraction",
        severity="info",
        meta={"id": "scripts", "rows": "kept_minority_script"},
    )


def web_addresses() -> Expectation:
    """Few texts hold web addresses.

    Prevents: a model that learns to cite addresses; it will make up more of the kind.
    """
    return few(
        "Few texts hold web addresses.",
        limit="max_url_fraction",
        severity="info",
        meta={"id": "web-addresses", "rows": "kept_url"},
    )


def length_outliers() -> Expectation:
    """Few rows are far longer or shorter than the others.

    Prevents: one long row that sets the memory of every batch it is in (hiyouga/LLaMA-Factory#2648:
    out of memory in mid-training on one sample).
    """
    return few(
        "Few rows are far longer or shorter than the others.",
        limit="max_length_outlier_fraction",
        severity="info",
        meta={"id": "length-outliers", "rows": "kept_length_outlier"},
    )
