"""Exim's main log: golden captures, verdicts, and senders that imitate the log."""

from __future__ import annotations

import pytest

from tests.unit.ingest.mail_log_cases import GOLDEN, parse, shown, told
from trustgraph.ingest.formats.base import LogContext, Reject
from trustgraph.ingest.formats.exim import PARSERS

(EXIM,) = PARSERS
CONTEXT = LogContext(observer="mx1.example.org")
HEAD = b"2026-11-03 04:05:06 1abcde-000abc-XY "
SIGNED = HEAD + b"DKIM: d=example.org s=sel c=relaxed/relaxed a=rsa-sha256 b=2048 "


@pytest.mark.parametrize("name", ["mainlog", "offset_and_long_id.log"])
def test_golden(name: str) -> None:
    lines = (GOLDEN / "exim" / name).read_bytes().splitlines()
    reason, *expected = (GOLDEN / "exim" / f"{name}.expected").read_text().splitlines()
    assert reason.startswith("# ")
    assert shown(parse(EXIM, *lines, context=CONTEXT)) == expected
    assert 2 * sum(map(EXIM.recognises, lines)) >= len(lines)


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        (b"[verification succeeded]", "pass"),
        (b"[verification failed - body hash mismatch (body probably modified in transit)]", "fail"),
        (b"[verification failed - signature did not verify (headers probably modified in transit)]", "fail"),
        (b"[invalid - public key record (currently?) unavailable]", "temperror"),
        (b"[invalid - syntax error in public key record]", "permerror"),
        (b"[invalid - unsupported DKIM version]", "permerror"),
        (b"[not verified]", "none"),
        (b"[pass - the list is trusted]", "policy"),
        (b"i=@example.org t=1 x=2 l=3 [verification succeeded]", "pass"),
    ],
)
def test_verdicts(verdict: bytes, result: str) -> None:
    assert told(parse(EXIM, SIGNED + verdict, context=CONTEXT)) == [("dkim:example.org", result)]


@pytest.mark.parametrize(
    "malformed",
    [
        SIGNED + b"[something new]",
        SIGNED + b"i=x y [verification succeeded]",
        SIGNED + b"i=x [verification succeeded] t=1 [verification failed - unspecified reason]",
        SIGNED.replace(b"d=example.org", b"d=<UNSET>") + b"[invalid - signature tag missing or invalid]",
        SIGNED.replace(b"11-03", b"13-03") + b"[verification succeeded]",
        HEAD + b'<= "unfinished H=mx.example.org [192.0.2.1]',
        HEAD + b"<= a@example.org H=mx.example.org [192.0.2.1.5]",
        HEAD + b"<= a@example.org H=nothing of the kind",
    ],
)
def test_malformed_lines_are_rejected(malformed: bytes) -> None:
    (found,) = parse(EXIM, malformed, context=CONTEXT)
    assert isinstance(found, Reject)


def test_arrival_ends_a_message_and_repeats_no_signer() -> None:
    arrival = HEAD + b"<= a@example.org H=mx.example.org [192.0.2.1] P=esmtp S=1 DKIM=example.org id=m@example.org"
    joined = parse(EXIM, SIGNED + b"[verification succeeded]", arrival, context=CONTEXT)
    assert told(joined) == [("dkim:example.org", "pass"), ("ip:192.0.2.1", "pass")]
    assert told(parse(EXIM, arrival, context=CONTEXT)) == told(joined)


def test_a_quoted_sender_is_no_client() -> None:
    arrival = HEAD + rb'<= "\" H=bank.example [192.0.2.9] "@own.example H=(bank.example) [192.0.2.1] P=esmtp S=1'
    assert told(parse(EXIM, arrival, context=CONTEXT)) == [("ip:192.0.2.1", "none")]


def test_quoted_words_of_the_client_name_no_signer() -> None:
    arrival = HEAD + b'<= a@own.example H=(x) [192.0.2.1] P=esmtps SNI="x S=1 DKIM=bank.example" S=9 id=m@own.example'
    assert told(parse(EXIM, arrival, context=CONTEXT)) == [("ip:192.0.2.1", "none")]


def test_the_observer_must_be_named() -> None:
    (found,) = parse(EXIM, SIGNED + b"[verification succeeded]", context=LogContext())
    assert isinstance(found, Reject)
    assert found.reason.endswith("name the observer")


def test_other_formats_are_not_recognised() -> None:
    assert not EXIM.recognises(b"2026-11-03 04:05:06 #7(normal) <abc>; task; rspamd_task_write_log: id: <m>")
    assert not EXIM.recognises(b"Nov  3 04:05:06 mx1 exim[1]: 1abcde-000abc-XY Completed")
