"""OpenDKIM's syslog lines and statistics file."""

from __future__ import annotations

import pytest

from tests.unit.ingest.mail_log_cases import check_golden, parse, told
from trustgraph.ingest.formats import mail_syslog, opendkim, opendkim_stats
from trustgraph.ingest.formats.base import LogContext
from trustgraph.model import Observation, Outcome, Result

SYSLOG, OPENDKIM = mail_syslog.PARSERS[:2]
STATS = opendkim_stats.PARSERS[0]


def line(text: str, second: int = 6) -> bytes:
    return f"Nov  3 04:05:{second:02d} mx.example.net opendkim[7]: 4F12C33EA4: {text}".encode()


def results(text: str) -> list[tuple[str, str]]:
    return told(parse(OPENDKIM, line(text)))


@pytest.mark.parametrize("name", ["log_results.log", "log_why.log", "plain.log"])
def test_golden_syslog(name: str) -> None:
    check_golden(OPENDKIM, f"opendkim/{name}")


def test_golden_statistics() -> None:
    check_golden(STATS, "opendkim/statistics.txt")


@pytest.mark.parametrize("error", opendkim.SIGNATURE_ERRORS, ids=lambda error: error.name)
def test_syslog_and_statistics_agree(error: opendkim.SignatureError) -> None:
    expected = [("dkim:example.org", error.result.value)]
    assert results(f'signature=a domain=example.org selector=s result="{error.name}"') == expected
    message = b"M1\tmx.example.net\texample.org\t192.0.2.1\t1793678706\t1\t1\t-1\t-1"
    signature = f"Sexample.org\t{int(error.code == 0)}\t0\t-1\t{error.code}\t-1".encode()
    assert told(parse(STATS, message, signature)) == expected


def test_results_that_opendkim_words_alike_differ() -> None:
    by_name = {error.name: error.result for error in opendkim.SIGNATURE_ERRORS}
    assert by_name["signature verification failed"] is Result.FAIL
    assert by_name["key not found in DNS"] is Result.PERMERROR
    assert by_name["key DNS query failed"] is Result.TEMPERROR
    assert by_name["signing key too small"] is Result.POLICY
    assert len(by_name) == len({error.code for error in opendkim.SIGNATURE_ERRORS}) == len(opendkim.SIGNATURE_ERRORS)


@pytest.mark.parametrize(
    ("words", "best"),
    [
        (("key DNS query failed", "key not found in DNS"), "permerror"),
        (("key not found in DNS", "signature verification failed"), "fail"),
        (("signature verification failed", "signing key too small"), "policy"),
        (("signing key too small", "no signature error"), "pass"),
    ],
)
def test_best_of_one_domains_signatures(words: tuple[str, str], best: str) -> None:
    for pair in (words, words[::-1]):
        parts = [f'signature=a domain=example.org selector=s result="{word}"' for word in pair]
        assert results("; ".join(parts)) == [("dkim:example.org", best)]


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        ("", "permerror"),
        (": 's._domainkey.example.org' record not found", "permerror"),
        (": 's._domainkey.example.org' query timed out", "temperror"),
        (": 's._domainkey.example.org' reply truncated", "temperror"),
    ],
)
def test_key_retrieval(cause: str, result: str) -> None:
    assert results(f"key retrieval failed (s=s, d=example.org){cause}") == [("dkim:example.org", result)]


@pytest.mark.parametrize("algorithm", ["", ", a=rsa-sha256"])
def test_key_revoked(algorithm: str) -> None:
    assert results(f"key revoked (s=s, d=example.org{algorithm})") == [("dkim:example.org", "permerror")]


@pytest.mark.parametrize("order", [1, -1])
def test_verdict_and_domain_in_either_order(order: int) -> None:
    lines = [line("DKIM verification successful", 6), line("s=s1 d=example.org SSL ", 7)]
    found = parse(OPENDKIM, *lines[::order])
    assert told(found) == [("dkim:example.org", "pass")]
    assert isinstance(found[0], Observation)
    assert found[0].observed_at % 60 == 6  # the time of the verdict, wherever it stands


@pytest.mark.parametrize(
    "text",
    [
        "no signature data",
        "not authenticated",
        "DKIM verification successful",
        "s=s1 d=example.org SSL ",
        "message has signatures from example.org, example.com",
        "syntax error: missing parameter(s) in signature data",
        "key retrieval failed",
        "DKIM-Signature field added (s=s1, d=example.org)",
    ],
)
def test_lines_that_alone_tell_nothing(text: str) -> None:
    assert results(text) == []


def test_own_connections_are_no_client() -> None:
    found = parse(OPENDKIM, line("localhost [127.0.0.1] not internal"), line("key revoked (s=s, d=example.org)"))
    assert isinstance(found[0], Observation)
    assert (found[0].client_ip, found[0].host) == ("", "")


@pytest.mark.parametrize(
    "text",
    [
        "signature=a domain=example.org selector=s",
        'signature=a domain=example.org selector=s result="unheard of"',
        'signature=a domain=a..b selector=s result="no signature error"',
        'signature=a domain=example.org selector=x result="no signature error" selector=s result="key revoked"',
        "s=s1 example.org SSL ",
        "s=s1 d=-x- SSL ",
        "key retrieval failed (example.org)",
        "key revoked (s=s, d=[x])",
        "a..b [192.0.2.1] not internal",
        "mail.example.org [192.0.2.999] not internal",
    ],
)
def test_malformed_lines_are_rejected(text: str) -> None:
    assert [kind for kind, _ in results(text)] == ["reject"]


def test_cut_line_keeps_what_is_whole() -> None:
    found = told(
        parse(OPENDKIM, line('signature=a domain=example.org selector=s result="key revoked"; signature=b dom'))
    )
    assert found[0][0] == "reject"
    assert found[1:] == [("dkim:example.org", "permerror")]


def test_syslog_without_a_header_is_rejected() -> None:
    assert [kind for kind, _ in told(parse(OPENDKIM, b"11/03 04:05 mx opendkim[7]: 4F12C33EA4: bad"))] == ["reject"]


def test_observer_given_or_from_the_line() -> None:
    text = line("key revoked (s=s, d=example.org)")
    given = LogContext(observer="mx1.example.com", written_at=parse(OPENDKIM, text)[0].observed_at)  # type: ignore[union-attr]
    assert [entry.observer for entry in parse(OPENDKIM, text) if isinstance(entry, Observation)] == ["mx.example.net"]
    found = parse(OPENDKIM, text, context=given)
    assert [entry.observer for entry in found if isinstance(entry, Observation)] == ["mx1.example.com"]


def test_statistics_of_spam_and_unevaluated_signatures() -> None:
    found = parse(
        STATS,
        b"V3",
        b"Mjob\tmx.example.net\texample.org\tunknown\t1793678706\t13\t2\t-1\t1",
        b"Sexample.org\t1\t0\t-1\t0\t-1",
        b"Sexample.com\t0\t0\t-1\t-1\t-1",
        b"Xextension\tvalue",
    )
    assert told(found) == [("dkim:example.org", "pass")]
    assert isinstance(found[0], Observation)
    assert (found[0].outcome, found[0].client_ip, found[0].message) == (Outcome.SPAM, "", "job")


@pytest.mark.parametrize(
    "record",
    [
        b"V2",
        b"Mjob\tmx.example.net",
        b"Mjob\tm x\texample.org\t192.0.2.1\t1\t1\t1\t-1\t-1",
        b"Mjob\tmx.example.net\texample.org\t192.0.2.999\t1\t1\t1\t-1\t-1",
        b"Sexample.org\t1\t0\t-1\t0\t-1",
        b"Qx",
    ],
)
def test_malformed_records_are_rejected(record: bytes) -> None:
    assert [kind for kind, _ in told(parse(STATS, record))] == ["reject"]


def test_malformed_signature_record_spares_its_message() -> None:
    found = told(
        parse(
            STATS,
            b"Mjob\tmx.example.net\texample.org\t192.0.2.1\t1793678706\t13\t2\t-1\t-1",
            b"Sexample.org\t1\t0\t-1\t99\t-1",
            b"Sexample.com\t1\t0\t-1\t0\t-1",
        )
    )
    assert [kind for kind, _ in found] == ["reject", "dkim:example.com"]
