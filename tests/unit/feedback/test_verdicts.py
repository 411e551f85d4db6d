"""Verdict fields, and which of them can be a sender's."""

from __future__ import annotations

import pytest

from trustgraph.feedback.verdicts import believed_fields, verdict_in
from trustgraph.ingest.formats.trace_fields import Field
from trustgraph.model import Outcome

GOOD, SPAM, MALWARE = Outcome.GOOD, Outcome.SPAM, Outcome.MALWARE


@pytest.mark.parametrize(
    ("name", "value", "outcome"),
    [
        ("x-spam-status", "Yes, score=15.1 required=5.0 tests=BAYES_99", SPAM),
        ("x-spam-status", "No, score=-1.9 required=5.0", GOOD),
        ("x-spam-status", "No", GOOD),
        ("x-spam-status", "Nonsense", None),
        ("x-spam-flag", "YES", SPAM),
        ("x-spam-flag", "NO", GOOD),
        ("x-spam", "Yes", SPAM),
        ("x-spam", "No", None),
        ("x-spamd-result", "default: True [15.20 / 15.00]; R_SPF_FAIL(1.0)[]", SPAM),
        ("x-spamd-result", "default: False [-3.40 / 15.00];\n\tBAYES_HAM(-3.0)[]", GOOD),
        ("x-spamd-result", "True", None),
        ("x-virus-status", "Infected (Eicar-Test-Signature)", MALWARE),
        ("x-virus-status", "Clean", None),
        ("x-spam-level", "*****", None),
        ("subject", "Yes", None),
    ],
)
def test_what_a_field_says(name: str, value: str, outcome: Outcome | None) -> None:
    assert verdict_in([Field(name, value.encode())]) is outcome


def test_the_topmost_of_a_name_counts_and_the_worst_of_all() -> None:
    status = [Field("x-spam-status", b"No"), Field("x-spam-status", b"Yes")]
    assert verdict_in(status) is GOOD
    assert verdict_in([*status, Field("x-spam-flag", b"YES")]) is SPAM
    assert verdict_in([*status, Field("x-virus-status", b"Infected (x)"), Field("x-spam", b"Yes")]) is MALWARE
    assert verdict_in([Field("x-spam-status", b"?"), Field("x-spam-status", b"Yes")]) is None


def test_below_the_border_only_the_one_field_that_our_filter_keeps_clean() -> None:
    ours, sender = [Field("x-spam-flag", b"YES")], [Field("received", b"from"), Field("x-spam-status", b"No")]
    assert believed_fields(ours, [*ours, *sender], ()) == ours
    assert believed_fields([], sender, {"x-spam-status"}) == [sender[1]]
    assert believed_fields([], [*sender, sender[1]], {"x-spam-status"}) == []
