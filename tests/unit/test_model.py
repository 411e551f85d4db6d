"""One spelling for everything that is compared: identities, domains, fingerprints, addresses, times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.model import Identity, IdentityKind, from_rfc3339, parse_domain, to_rfc3339

FINGERPRINT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("dkim:Example.ORG.", "dkim:example.org"),
        ("DKIM:example.org", "dkim:example.org"),
        ("dkim:bücher.example", "dkim:xn--bcher-kva.example"),
        ("dkim:_x.example_y.org", "dkim:_x.example_y.org"),
        (f"openpgp:0x{FINGERPRINT.upper()}", f"openpgp:{FINGERPRINT}"),
        ("openpgp:" + " ".join(FINGERPRINT[i : i + 4] for i in range(0, 40, 4)), f"openpgp:{FINGERPRINT}"),
        ("openpgp:" + "ab" * 32, "openpgp:" + "ab" * 32),
        ("ip:2001:DB8:0::1", "ip:2001:db8::1"),
        ("ip:::ffff:192.0.2.1", "ip:192.0.2.1"),
        ("helo:MX1.example.org", "helo:mx1.example.org"),
        ("spf:example.org", "spf:example.org"),
    ],
)
def test_an_identity_has_one_spelling(text: str, canonical: str) -> None:
    identity = Identity.parse(text)
    assert identity == canonical
    assert f"{identity.kind}:{identity.value}" == canonical
    assert Identity.parse(canonical) == identity


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "smtp:example.org",
        "dkim",
        "dkim:",
        "dkim:a b",
        "dkim:a..b",
        "dkim:-a.org",
        "dkim:" + "a." * 127 + "org",
        "dkim:" + "a" * 64 + ".org",
        "dkim:exa\nmple.org",
        "ip:300.1.1.1",
        "ip:example.org",
        f"openpgp:{FINGERPRINT[:16]}",
        f"openpgp:{FINGERPRINT}00",
        "openpgp:" + "g" * 40,
    ],
)
def test_what_is_no_identity(text: str) -> None:
    with pytest.raises(BadInput):
        Identity.parse(text)


def test_constructors_agree_with_parse() -> None:
    assert Identity.dkim("Example.org") == "dkim:example.org"
    assert Identity.ip("192.0.2.1").kind is IdentityKind.IP
    assert Identity.openpgp(FINGERPRINT).value == FINGERPRINT


@given(st.text(max_size=80))
def test_parsing_anything_gives_a_canonical_name_or_bad_input(text: str) -> None:
    try:
        name = parse_domain(text)
    except BadInput:
        return
    assert parse_domain(name) == name
    assert name.isascii()


@given(st.integers(0, 32_503_680_000))
def test_times_survive_the_round_trip(seconds: int) -> None:
    assert from_rfc3339(to_rfc3339(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2026-11-01", 1_793_491_200), ("2026-11-01T01:00:00+01:00", 1_793_491_200), (" 1970-01-01T00:00:00Z ", 0)],
)
def test_other_spellings_of_a_time(text: str, seconds: int) -> None:
    assert from_rfc3339(text) == seconds


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "2026-11-01T10:00:00", "1969-12-31T23:59:59Z"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadInput):
        from_rfc3339(text)
