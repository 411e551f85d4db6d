"""OpenDMARC's syslog lines and history file."""

from __future__ import annotations

import pytest

from tests.unit.ingest.mail_log_cases import check_golden, parse, told
from trustgraph.ingest.formats import mail_syslog, opendmarc_history
from trustgraph.model import Observation

OPENDMARC = mail_syslog.PARSERS[2]
HISTORY = opendmarc_history.PARSERS[0]


def results(text: str) -> list[tuple[str, str]]:
    return told(parse(OPENDMARC, f"Nov  3 04:05:06 mx opendmarc[7]: 4F12C33EA4: {text}".encode()))


def block(*lines: str) -> list[bytes]:
    head = ["job 4F12C33EA4", "reporter mx.example.net", "received 1793678706", "ipaddr 192.0.2.1"]
    return [text.encode() for text in (*head, *lines, "action 2")]


def test_golden_syslog() -> None:
    check_golden(OPENDMARC, "opendmarc/self_validated_spf.log")


def test_golden_history() -> None:
    check_golden(HISTORY, "opendmarc/history.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SPF(mailfrom): example.org pass", [("spf:example.org", "pass")]),
        ("SPF(mailfrom): example.org tempfail", [("spf:example.org", "temperror")]),
        ("SPF(helo): relay.example.org none", [("helo:relay.example.org", "none")]),
        ("SPF(helo): [192.0.2.1] fail", []),
        ("SPF(mailfrom):  none", []),
        ("example.org pass", []),
        ("example.org fail", []),
        ("ignoring Authentication-Results at 1 from mx.example.com", []),
    ],
)
def test_syslog(text: str, expected: list[tuple[str, str]]) -> None:
    assert results(text) == expected


@pytest.mark.parametrize(
    "text", ["SPF(mailfrom): example.org maybe", "SPF(from): example.org pass", "SPF(helo): a..b pass"]
)
def test_malformed_lines_are_rejected(text: str) -> None:
    assert [kind for kind, _ in results(text)] == ["reject"]


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (0, "pass"),
        (2, "policy"),
        (3, "neutral"),
        (4, "temperror"),
        (5, "permerror"),
        (6, "none"),
        (7, "fail"),
        (8, "policy"),
    ],
)
def test_history_results(code: int, result: str) -> None:
    found = told(parse(HISTORY, *block("mfrom example.com", f"dkim example.org s {code}", f"spf {code}")))
    assert found == [("dkim:example.org", result), ("spf:example.com", result)]


@pytest.mark.parametrize("code", [-1, 1, 9, 11])
def test_history_without_a_result(code: int) -> None:
    assert parse(HISTORY, *block("mfrom example.com", f"dkim example.org s {code}", f"spf {code}")) == []


def test_history_best_signature_of_a_domain() -> None:
    assert told(parse(HISTORY, *block("dkim example.org a 7", "dkim Example.ORG b 0", "dkim example.org c 5"))) == [
        ("dkim:example.org", "pass")
    ]


def test_history_facts() -> None:
    (found,) = parse(HISTORY, *block("mfrom example.com", "spf 0"))
    assert isinstance(found, Observation)
    assert (found.observed_at, found.observer, found.message, found.client_ip) == (
        1793678706,
        "mx.example.net",
        "4F12C33EA4",
        "192.0.2.1",
    )


@pytest.mark.parametrize(
    "lines",
    [
        block("dkim example.org"),
        block("dkim example.org s 99"),
        block("mfrom example.org", "spf pass"),
        block("mfrom a..b", "spf 0"),
        block("received soon"),
        block("ipaddr here"),
        [b"spf 0"],
        [b"no such key"],
        block()[:-1],
    ],
)
def test_malformed_history_is_rejected(lines: list[bytes]) -> None:
    assert [kind for kind, _ in told(parse(HISTORY, *lines))] == ["reject"]


def test_block_cut_off_by_the_next() -> None:
    whole = block("dkim example.org s 0")
    assert [kind for kind, _ in told(parse(HISTORY, *whole[:-1], *whole))] == ["reject", "dkim:example.org"]
