"""Overrides without effect: taking one out changes no decision, and those that may change one are not among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.evidences import KEY, LATER, NOW
from tests.unit.policy.test_decide import EVIDENCE
from trustgraph.model import UnixSeconds
from trustgraph.policy.decide import Policy, decide
from trustgraph.policy.overrides import Override, parse_match
from trustgraph.policy.shadowing import covers, shadowed


@pytest.mark.parametrize(
    ("match", "other", "expected"),
    [
        ("peer.example", "peer.example", True),
        ("peer.example", "mx.peer.example", True),
        ("mx.peer.example", "peer.example", False),
        ("eer.example", "peer.example", False),
        ("peer.example", "dkim:mail.peer.example", True),
        ("peer.example", "helo:peer.example", True),
        ("peer.example", str(KEY), False),
        (str(KEY), str(KEY), True),
        ("ab" * 20, str(KEY), False),  # a name may look like a fingerprint
        ("dkim:peer.example", "peer.example", False),
        ("dkim:peer.example", "dkim:mx.peer.example", False),
        ("ip:192.0.2.0/24", "ip:192.0.2.9", True),
        ("ip:192.0.2.9", "ip:192.0.2.0/24", False),
        ("ip:2001:db8::/32", "ip:2001:db8:1::/64", True),
        ("ip:0.0.0.0/0", "ip:2001:db8::/32", False),
        ("ip:0.0.0.0/0", "peer.example", False),
        ("peer.example", "ip:192.0.2.9", False),
    ],
)
def test_what_covers_what(match: str, other: str, expected: bool) -> None:
    assert covers(parse_match(match), parse_match(other)) is expected


def places(*overrides: tuple[str, str] | tuple[str, str, UnixSeconds]) -> dict[int, int]:
    return shadowed([Override(match, action, "", *ends) for action, match, *ends in overrides], NOW)  # type: ignore[arg-type]


def test_the_first_of_a_kind_decides_and_a_denial_before_all() -> None:
    assert places(("allow", "peer.example"), ("allow", "mx.peer.example")) == {1: 0}
    assert places(("allow", "mx.peer.example"), ("allow", "peer.example")) == {}
    assert places(("strict", "peer.example"), ("monitor", "mx.peer.example")) == {1: 0}
    assert places(("allow", "mx.peer.example"), ("deny", "peer.example")) == {0: 1}
    assert places(("deny", "mx.peer.example"), ("allow", "peer.example")) == {}
    assert places(("need-not-sign", "mx.peer.example"), ("allow", "peer.example")) == {0: 1}
    # Under monitor what is denied is let in, so naming a profile is not without effect.
    assert places(("deny", "peer.example"), ("monitor", "mx.peer.example")) == {}


def test_what_ends_sooner_takes_nobodys_place() -> None:
    assert places(("allow", "peer.example", LATER), ("allow", "mx.peer.example")) == {}
    assert places(("allow", "peer.example"), ("allow", "mx.peer.example", LATER)) == {1: 0}
    assert places(("allow", "peer.example", NOW), ("allow", "mx.peer.example", NOW)) == {}


MATCHES = st.sampled_from(
    [
        *("peer.example", "example", "mx.peer.example", str(KEY), "dkim:peer.example", "spf:peer.example"),
        *("ip:192.0.2.0/24", "ip:192.0.2.1/32", "ip:2001:db8::/32"),
    ]
)
OVERRIDES = st.builds(
    Override,
    MATCHES,
    st.sampled_from(["allow", "deny", "strict", "transition", "monitor", "need-not-sign"]),
    st.sampled_from(["one", "two"]),
    st.sampled_from([None, NOW, UnixSeconds(NOW + 1), LATER]),
)


@given(
    EVIDENCE,
    st.sampled_from(["strict", "transition", "monitor"]),
    st.lists(OVERRIDES, min_size=2, max_size=4),
    st.sampled_from([NOW, UnixSeconds(NOW + 1), LATER]),
)
def test_taking_out_what_has_no_effect_has_none(evidence, profile, overrides, at) -> None:  # type: ignore[no-untyped-def]
    for place in shadowed(overrides, NOW):
        rest = tuple(overrides[:place] + overrides[place + 1 :])
        whole = Policy(profile, overrides=tuple(overrides))
        assert decide(evidence, whole, at) == decide(evidence, Policy(profile, overrides=rest), at)
