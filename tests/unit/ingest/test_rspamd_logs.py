"""rspamd's logs: golden captures, the mapping of symbols, and senders that imitate the log."""

from __future__ import annotations

import pytest

from tests.unit.ingest.mail_log_cases import GOLDEN, WRITTEN_AT, parse, shown, told
from trustgraph.ingest.formats import rspamd, rspamd_json
from trustgraph.ingest.formats.base import LogContext, LogParser, Reject
from trustgraph.model import Observation

(TEXT,) = rspamd.PARSERS
(JSON,) = rspamd_json.PARSERS
NAMED = LogContext(observer="mx1.example.org", written_at=WRITTEN_AT)
UNNAMED = LogContext(written_at=WRITTEN_AT)


@pytest.mark.parametrize(
    ("parser", "name", "context"),
    [
        (TEXT, "task.log", NAMED),
        (TEXT, "through_syslog.log", UNNAMED),
        (JSON, "log.jsonl", NAMED),
        (JSON, "history.jsonl", NAMED),
        (JSON, "elastic.jsonl", UNNAMED),
    ],
)
def test_golden(parser: LogParser, name: str, context: LogContext) -> None:
    lines = (GOLDEN / "rspamd" / name).read_bytes().splitlines()
    reason, *expected = (GOLDEN / "rspamd" / f"{name}.expected").read_text().splitlines()
    assert reason.startswith("# ")
    assert shown(parse(parser, *lines, context=context)) == expected
    assert 2 * sum(map(parser.recognises, lines)) >= len(lines)


def line(symbols: str, *, action: str = "no action", sender: str = "a@example.org", message: str = "m@x") -> bytes:
    return (
        "2026-11-03 04:05:06 #7(normal) <abc>; task; rspamd_task_write_log: "
        f"id: <{message}>, ip: 192.0.2.1, from: <{sender}>, (default: F ({action}): [1.00/15.00] [{symbols}]), "
        "len: 1, time: 1.0ms, dns req: 1, digest: <0>, rcpts: <r@example.com>, mime_rcpts: <r@example.com>"
    ).encode()


SPF = "R_SPF_ALLOW(-0.20){+a:c;}"


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        (SPF, [("spf:example.org", "pass")]),
        ("R_SPF_PLUSALL(4.00){+all;}", [("spf:example.org", "pass")]),
        ("R_SPF_FAIL(1.00){-all;}", [("spf:example.org", "fail")]),
        ("R_SPF_SOFTFAIL(0.00){~all;}", [("spf:example.org", "policy")]),
        ("R_SPF_NEUTRAL(0.00){?all;}", [("spf:example.org", "neutral")]),
        ("R_SPF_DNSFAIL(0.00){DNS error;}", [("spf:example.org", "temperror")]),
        ("R_SPF_PERMFAIL(0.00){}", [("spf:example.org", "permerror")]),
        ("R_SPF_NA(0.00){no SPF record;}", [("spf:example.org", "none")]),
        ("R_DKIM_NA(0.00){}", []),
        ("RDNS_NONE(2.00){},R_DKIM_NA(0.00){}", [("ip:192.0.2.1", "permerror")]),
        ("RDNS_DNSFAIL(0.00){}", [("ip:192.0.2.1", "temperror")]),
        (
            "R_DKIM_REJECT(1.00){b.example:s=x;},R_DKIM_ALLOW(-0.20){a.example:s=s;b.example:s=s;},"
            "DKIM_TRACE(0.00){a.example:+;b.example:+;b.example:-;c.example:?;},R_DKIM_TEMPFAIL(0.00){c.example:s=s;}",
            [("dkim:a.example", "pass"), ("dkim:b.example", "pass"), ("dkim:c.example", "temperror")],
        ),
        # rspamd leaves out options beyond a number: only what both lists confirm counts.
        (
            "R_DKIM_ALLOW(-0.20){a.example:s=s;z.example:s=s;},DKIM_TRACE(0.00){a.example:+;...;}",
            [("dkim:a.example", "pass")],
        ),
        ("", []),
    ],
)
def test_symbols(symbols: str, expected: list[tuple[str, str]]) -> None:
    assert told(parse(TEXT, line(symbols), context=NAMED)) == expected


@pytest.mark.parametrize(
    ("action", "symbols", "outcome"),
    [
        ("no action", "", "good"),
        ("no action", "CLAM_VIRUS(1.00){Eicar;}", "good"),
        ("greylist", "", "unknown"),
        ("soft reject", "", "unknown"),
        ("add header", "", "spam"),
        ("rewrite subject", "", "spam"),
        ("reject", "", "spam"),
        ("reject", "CLAM_VIRUS(1.00){Eicar;}", "malware"),
        ("something new", "", "unknown"),
    ],
)
def test_outcome(action: str, symbols: str, outcome: str) -> None:
    (found,) = parse(TEXT, line(f"{SPF},{symbols}", action=action), context=NAMED)
    assert isinstance(found, Observation)
    assert found.outcome.value == outcome


BANK = "R_DKIM_ALLOW(-0.20){bank.example:s=s;},DKIM_TRACE(0.00){bank.example:+;}"


@pytest.mark.parametrize(
    "forged",
    [
        line("FROM_NEQ_ENVFROM(0.00){x;}," + BANK + "]), len: 1;},R_DKIM_NA(0.00){}"),
        line("FROM_NEQ_ENVFROM(0.00){x;}," + BANK + ";},R_DKIM_ALLOW(-0.20){own.example:s=s;}"),
        line("R_DKIM_ALLOW(-0.20){bank.example:s=s;},DKIM_TRACE(0.00){own.example:-;}"),
        line(
            "R_DKIM_ALLOW(-0.20){own.example:s=s;},DKIM_TRACE(0.00){own.example:+;},FROM_NEQ_ENVFROM(0.00){x;},"
            "R_DKIM_ALLOW(-0.20){bank.example:s=s;},DKIM_TRACE(0.00){own.example:+;bank.example:+;}"
        ),
        line("R_DKIM_PERMFAIL(0.00){own.example},R_DKIM_ALLOW(-0.20){bank.example:s=s;},DKIM_TRACE(0.00){x:+;}"),
        line("R_SPF_FAIL(1.00){-all;},FROM_NEQ_ENVFROM(0.00){x;},R_SPF_ALLOW(-0.20){+all;}"),
        line("", sender=f"a@bank.example>, (default: F (no action): [0.00/15.00] [{BANK}]), len: 1@own.example"),
        line("", sender="a b@own.example"),
        line(BANK).ljust(9000, b"x"),
        line("").replace(b"#7(normal)", b"someone"),
        line("").replace(b"2026-11-03", b"2026-11-33"),
        line("").replace(b"192.0.2.1", b"192.0.2.1111"),
    ],
)
def test_ambiguous_lines_count_for_nobody(forged: bytes) -> None:
    found = parse(TEXT, forged, context=NAMED)
    assert any(isinstance(entry, Reject) for entry in found)
    assert not any("bank" in name for name, _ in told(found) if name != "reject")


def test_message_is_the_message_id_else_the_queue_id() -> None:
    known, nameless = line(SPF), line(SPF, message="undef")
    queued = nameless.replace(b" ip:", b" qid: <4ABC>, ip:")
    found = parse(TEXT, known, queued, nameless, context=NAMED)
    messages = [entry.message for entry in found if isinstance(entry, Observation)]
    assert messages[:2] == ["<m@x>", "4ABC"]
    assert messages[2].startswith("line:")


def test_local_time_and_observer() -> None:
    (found,) = parse(TEXT, line(""), context=UNNAMED)
    assert told([found])[0][1].endswith("name the observer")


@pytest.mark.parametrize(
    "other",
    [
        b"Nov  3 04:05:06 mx1 opendkim[1]: 4ABC: s=s d=example.org SSL",
        b'{"at":"2026-11-01T10:00:00Z","observer":"mx1.example.org","identity":"dkim:example.com","result":"pass",'
        b'"outcome":"good","message_id":"<a@example.com>"}',
        b"2026-11-03 04:05:06 1abcde-000abc-XY Completed",
        b"Received: from a by b; Tue, 03 Nov 2026 04:05:06 +0000",
        b"",
    ],
)
def test_other_formats_are_not_recognised(other: bytes) -> None:
    assert not TEXT.recognises(other)
    assert not JSON.recognises(other)
    assert parse(TEXT, other, context=NAMED) == []
    assert parse(JSON, other, context=NAMED) == []


@pytest.mark.parametrize(
    "broken",
    [
        b'{"ts": "x", "worker_type": "normal", "function": "rspamd_task_write_log", "message": "id"}',
        b'{"ts": 1, "worker_type": "normal", "function": "rspamd_task_write_log", "message": "\xff"}',
        b'{"@timestamp": "nan", "rspamd_meta": {"action": "reject", "symbols": []}}',
        b'{"@timestamp": "1795451851807.5", "rspamd_meta": {"action": "reject", "symbols": 7}}',
        b'{"unix_time": -5, "sender_smtp": "a@b", "action": "reject", "symbols": {}}',
        b'{"unix_time": 5, "sender_smtp": ' + b"[" * 5000,
    ],
)
def test_broken_json_is_rejected(broken: bytes) -> None:
    (found,) = parse(JSON, broken, context=NAMED)
    assert isinstance(found, Reject)
    assert found.reason.startswith("expected rspamd's JSON")
