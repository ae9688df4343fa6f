"""Privacy: no person and no key is in the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.shares import few

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on personal data and credentials."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="privacy",
        expectations=[
            emails(),
            phones(),
            cards(),
            ibans(),
            social_security_numbers(),
            ip_addresses(),
            credentials(),
            possible_credentials(),
        ],
    )


def emails() -> Expectation:
    """No text holds an e-mail address.

    Prevents: a model that recites addresses it saw: memorized training data can be extracted
    (Carlini et al. 2021, arXiv:2012.07805). `dataset.on_pii` removes or masks them.
    """
    return few(
        "No text holds an e-mail address.",
        limit="max_personal_fraction",
        severity="warning",
        meta={"id": "emails", "rows": "kept_email"},
    )


def phones() -> Expectation:
    """No text holds a phone number.

    Prevents: calls to somebody whose number a model recited (arXiv:2012.07805 extracted a person's
    phone and fax number from GPT-2).
    """
    return few(
        "No text holds a phone number.",
        limit="max_personal_fraction",
        severity="warning",
        meta={"id": "phones", "rows": "kept_phone"},
    )


def cards() -> Expectation:
    """No text holds the number of a payment card.

    Prevents: card numbers in weights, logs and every copy of the data set: support mails hold them
    (PCI DSS wants them unreadable wherever they are stored).
    """
    return few(
        "No text holds the number of a payment card.",
        limit="max_personal_fraction",
        severity="warning",
        meta={"id": "cards", "rows": "kept_card"},
    )


def ibans() -> Expectation:
    """No text holds the number of a bank account.

    Prevents: account numbers that a model completes for whoever knows the first digits.
    """
    return few(
        "No text holds the number of a bank account.",
        limit="max_personal_fraction",
        severity="warning",
        meta={"id": "ibans", "rows": "kept_iban"},
    )


def social_security_numbers() -> Expectation:
    """No text holds a US social security number.

    Prevents: the one number that identifies a person for life, learned by heart.
    """
    return few(
        "No text holds a US social security number.",
        limit="max_personal_fraction",
        severity="warning",
        meta={"id": "social-security-numbers", "rows": "kept_ssn"},
    )


def ip_addresses() -> Expectation:
    """No text holds a public IP address.

    Prevents: log lines in the data: an address is personal data (Court of Justice of the EU,
    C-582/14, Breyer).
    """
    return few(
        "No text holds a public IP address.",
        limit="max_personal_fraction",
        severity="warning",
        meta={"id": "ip-addresses", "rows": "kept_ip_address"},
    )


def credentials() -> Expectation:
    """No text holds a key or a private key.

    Prevents: a leaked key: code models complete keys that were in their training data (Niu et al.
    2023, "CodexLeaks", USENIX Security), and whoever holds the weights holds the key. Rotate it,
    then remove it.
    """
    return few(
        "No text holds a key or a private key.",
        limit="max_credential_fraction",
        severity="critical",
        meta={"id": "credentials", "rows": "kept_credential"},
    )


def possible_credentials() -> Expectation:
    """No text assigns a random value to a password or token.

    Prevents: passwords in configuration files and logs, which have no shape that tells them for
    certain.
    """
    return few(
        "No text assigns a random value to a password or token.",
        limit="max_possible_credential_fraction",
        severity="warning",
        meta={"id": "possible-credentials", "rows": "kept_possible_credential"},
    )
