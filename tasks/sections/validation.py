"""`validation`: the thresholds of the data gate, one for each check of expectations/."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.sections.section import Section, Share

__all__ = ["ValidationSection"]


class ValidationSection(Section):
    """Thresholds of the data gate. A share above a `max_` key fails the check of that name."""

    min_train_rows: int | None = Field(None, ge=1, description="None: 500 (rule D1).")
    allow_few_rows: bool = Field(False, description="Insist on training below 500 rows.")
    max_rejected_fraction: Share = 0.05
    max_duplicate_fraction: Share = 0.05
    max_near_duplicate_fraction: Share = 0.05
    max_overlapping_fraction: Share = 0.01
    max_overlength_fraction: Share = 0.01
    max_leaked_fraction: Share = 0.01
    max_empty_fraction: Share = 0.01
    max_mojibake_fraction: Share = 0.001
    max_replacement_fraction: Share = 0.001
    max_control_fraction: Share = 0.001
    max_zero_width_fraction: Share = 0.001
    max_bidi_fraction: Share = 0.0
    max_html_fraction: Share = 0.01
    max_placeholder_fraction: Share = 0.005
    max_conflict_marker_fraction: Share = 0.0
    max_refusal_fraction: Share = 0.05
    max_empty_like_fraction: Share = 0.01
    max_repetition_fraction: Share = 0.01
    max_bad_json_fraction: Share = 0.005
    max_minority_script_fraction: Share = 0.01
    max_url_fraction: Share = 0.2
    max_length_outlier_fraction: Share = 0.01
    max_personal_fraction: Share = Field(0.0, description="Of rows with one kind of personal data.")
    max_credential_fraction: Share = 0.0
    max_possible_credential_fraction: Share = 0.0
    max_chat_markup_fraction: Share = 0.001
    max_special_token_fraction: Share = 0.0
    max_open_fence_fraction: Share = 0.005
    max_echo_fraction: Share = 0.001
    max_other_system_fraction: Share = 0.01
    max_label_imbalance: float = Field(20.0, ge=1, description="Most by fewest rows of a label.")
    max_label_variant_fraction: Share = 0.0
    max_unlearned_label_fraction: Share = 0.0
    max_single_label_fraction: Share = 0.0
    reference: str | None = Field(
        None, description="profile.parquet of an accepted run, to see drift against."
    )
    max_length_psi: float = Field(0.25, ge=0, description="Population stability index of lengths.")
    max_label_psi: float = Field(0.25, ge=0, description="Population stability index of labels.")
    max_new_label_fraction: Share = 0.0
    review: Literal["none", "required"] = Field(
        "none", description="required: nothing is trained before somebody accepted the report."
    )
    suite: str | None = Field(
        None, description="Your own checks: Great Expectations JSON, or Python with suite()."
    )
