"""Columns the checks are written in: per-row signals seen against the whole data set.

Each `kept_...` column is 1 for a kept row that has the defect, 0 for one that has not, and empty
for a rejected row, which nobody trains on: Great Expectations leaves empty values out, so a mean
is a share of the kept rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["PLAIN", "add_checks"]

#: Check column -> the signal that is above 0 in a row that has the defect.
PLAIN = {
    "kept_mojibake": "mojibake",
    "kept_replacement": "replacement_chars",
    "kept_control": "control_chars",
    "kept_zero_width": "zero_width_chars",
    "kept_bidi": "bidi_chars",
    "kept_html": "html",
    "kept_placeholder": "placeholders",
    "kept_conflict_marker": "conflict_markers",
    "kept_chat_markup": "chat_markup",
    "kept_open_fence": "open_fence",
    "kept_url": "urls",
    "kept_refusal": "refusal",
    "kept_echo": "echo",
}
#: The same for private data; a row in which they were masked has none left.
PRIVATE = {
    "kept_email": "emails",
    "kept_phone": "phones",
    "kept_card": "cards",
    "kept_iban": "ibans",
    "kept_ssn": "ssns",
    "kept_ip_address": "ip_addresses",
    "kept_credential": "credentials",
    "kept_possible_credential": "possible_credentials",
}

#: From here on an answer says mostly what it said before. A heuristic; see answers.py.
REPETITIVE_PERCENT = 50
#: A script is a minority's if fewer rows than this share have it. A heuristic.
MINORITY_SHARE = 0.05
#: Answers are JSON if this share of them is.
JSON_SHARE = 0.5
#: |z| of a length from which Iglewicz & Hoaglin (1993, "How to Detect and Handle Outliers") call it
#: an outlier, of log lengths; spread below 0.2 counts as 0.2, else all but equal lengths differ.
OUTLIER_Z = 3.5
LEAST_SPREAD = 0.2
#: Answers are labels if this share of them is short and each is met ten times on average.
LABELLED_SHARE = 0.95
ROWS_PER_LABEL = 10
#: A label with so many times fewer rows than the commonest is rare, its rows are listed.
RARE_LABEL = 20
#: From this share of the rows on, a label that reads like an empty answer is a label.
REAL_LABEL_SHARE = 0.01


def add_checks(frame: DataFrame) -> None:
    """Add the columns of the checks to a profile that has `split`, `tokens` and all signals."""
    kept = frame["split"] != "rejected"
    for column, signal in PLAIN.items():
        frame[column] = _where(frame[signal] > 0, kept)
    for column, signal in PRIVATE.items():
        frame[column] = _where((frame[signal] > 0) & (frame["redacted"] == 0), kept)
    frame["kept_repetition"] = _where(frame["repetition_percent"] >= REPETITIVE_PERCENT, kept)
    frame["kept_bad_json"] = _where(_bad_json(frame, kept), kept)
    frame["kept_minority_script"] = _where(_minority_script(frame, kept), kept)
    frame["length_z"] = _length_z(frame, kept)
    frame["kept_length_outlier"] = _where(frame["length_z"].abs() > OUTLIER_Z, kept)
    frame["kept_other_system"] = _where(_other_system(frame, kept), kept)
    _add_labels(frame, kept)


def _where(true: Series, kept: Series) -> Series:
    return true.astype("float32").where(kept)


def _bad_json(frame: DataFrame, kept: Series) -> Series:
    """Return which answers are no JSON, where most are."""
    valid = frame["json_answer"] == 1
    return ~valid & bool(kept.any() and valid[kept].mean() >= JSON_SHARE)


def _minority_script(frame: DataFrame, kept: Series) -> Series:
    """Return which rows are in a script that hardly any other row is in."""
    told = kept & (frame["script"] > 0)
    shares = frame.loc[told, "script"].value_counts(normalize=True)
    return told & frame["script"].isin(shares[shares < MINORITY_SHARE].index)


def _length_z(frame: DataFrame, kept: Series) -> Series:
    """Return (log length - median) / (1.4826 x median absolute deviation), 0 for no length."""
    import numpy

    lengths = numpy.log(frame["tokens"].clip(lower=1))
    mine = lengths[kept]
    middle = mine.median()
    spread = max(LEAST_SPREAD, 1.4826 * float((mine - middle).abs().median() or 0))
    return ((lengths - middle) / spread).where(kept & (frame["tokens"] > 0), 0.0)


def _other_system(frame: DataFrame, kept: Series) -> Series:
    """Return which chats have a system message where most have none, or the other way round."""
    chats = kept & (frame["turns"] > 0)
    with_system = chats & (frame["system"] > 0)
    most = with_system.sum() * 2 > chats.sum()
    return chats & ~with_system if most else with_system


def _add_labels(frame: DataFrame, kept: Series) -> None:
    """Add what is wrong with labels, all 0 where answers are no labels (`is_label`).

    `label_imbalance` is how many times as many rows the commonest label has as the rarest that is
    no singleton: 9 for 900 and 100.
    """
    families = frame.loc[kept, "label_family"]
    counts = families[families != 0].value_counts()
    labelled = counts.sum() >= LABELLED_SHARE * max(1, kept.sum())
    labelled = labelled and len(counts) > 1 and counts.sum() >= ROWS_PER_LABEL * len(counts)
    if not labelled:
        counts = counts.iloc[:0]
    mine = kept & frame["label_family"].isin(counts.index)
    frame["is_label"] = mine
    several = counts[counts > 1]
    frame["label_imbalance"] = float(counts.max() / several.min()) if len(several) > 1 else 1.0
    rare = several.index[several * RARE_LABEL < several.max()]
    frame["kept_rare_label"] = _where(mine & frame["label_family"].isin(rare), kept)
    singles = counts.index[counts == 1]
    frame["kept_single_label"] = _where(mine & frame["label_family"].isin(singles), kept)
    learned = frame.loc[mine & (frame["split"] == "train"), "label_family"].unique()
    unlearned = mine & (frame["split"] != "train") & ~frame["label_family"].isin(learned)
    # A label of one row can be in one split only.
    unlearned &= ~frame["label_family"].isin(singles)
    frame["kept_unlearned_label"] = _where(unlearned, kept)
    spellings = frame.loc[mine, ["label_family", "label"]].value_counts().reset_index()
    usual = spellings.drop_duplicates("label_family")["label"]
    frame["kept_label_variant"] = _where(mine & ~frame["label"].isin(usual), kept)
    common = counts.index[counts >= REAL_LABEL_SHARE * max(1, counts.sum())]
    perhaps = (frame["empty_like"] == 1) & ~(mine & frame["label_family"].isin(common))
    frame["kept_empty_like"] = _where((frame["empty_like"] == 2) | perhaps, kept)
