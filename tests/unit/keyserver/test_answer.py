"""Every response is one of three answers, and only the right certificate is Found."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keyserver.fault_server import ANNA, ANNAS, BERTS, CLEOS
from tests.unit.keyserver.quorum import TABLE
from tests.unit.openpgp.openpgp_maker import packet
from trustgraph.keyserver.answer import Absent, Answer, Cause, Found, Unreachable, combine, read_response
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.transferable import enarmor, find_certificate

NOW = UnixSeconds(1_700_000_000)
S = "http://keys.example.org:80"
WHOLE = find_certificate(ANNAS, ANNA.fingerprint) or b""
ARMORED = enarmor(ANNAS)
CHECKSUM = ARMORED.splitlines()[-2]

INDEX = (
    b"info:1:1\r\npub:%b:27::1600000000::\r\nuid:smtp%%3A//a%%3a25 100%%%%:1600000000::\r\n" % ANNA.fingerprint.encode()
)
ONAK_PAGE = b"""<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
<title>Lookup of key</title>
<body>
<pre>Key not found</pre>
<hr>
Produced by onak 0.6.3
</body></html>
"""


def ask(body: bytes, status: int = 200, fingerprint: str = ANNA.fingerprint) -> Answer:
    return read_response(S, status, body, fingerprint, NOW)


def reason(answer: Answer) -> str:
    assert isinstance(answer, Unreachable)
    assert answer.causes == (Cause(S, answer.reason),)
    return answer.reason


@pytest.mark.parametrize(
    "body",
    [
        ANNAS,
        ARMORED,
        ARMORED.replace(CHECKSUM + b"\n", b""),
        ARMORED.replace(b"\n", b"\r\n"),
        b"<html><pre>\n" + ARMORED + b"</pre></html>",
        BERTS + ANNAS + CLEOS,
        enarmor(BERTS + ANNAS + CLEOS),
        enarmor(BERTS) + ARMORED + enarmor(CLEOS),
    ],
    ids=["binary", "armor", "no-checksum", "crlf", "html", "decoys", "armored-decoys", "blocks"],
)
def test_found(body: bytes) -> None:
    assert ask(body) == Found(WHOLE, S)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (404, b"<html>No results found: No keys found</html>"),
        (404, ARMORED),
        (200, b"info:1:0"),
        (200, b"info:1:0\n"),
        (200, b"info:1:0\r\n"),
        (200, b"\r\ninfo:1:0::\r\n\r\n"),
        (200, b"Key not found\n"),
        (200, b"<pre>Key not found</pre>"),
        (200, b"<PRE>\r\nKEY NOT FOUND.\r\n</PRE>"),
        (200, ONAK_PAGE),
    ],
)
def test_absent(status: int, body: bytes) -> None:
    assert ask(body, status) == Absent((S,))


@pytest.mark.parametrize(
    "status", [100, 201, 202, 204, 206, 301, 304, 400, 401, 403, 410, 422, 429, 500, 501, 502, 503, 504]
)
@pytest.mark.parametrize("body", [b"", b"info:1:0\n", b"Key not found", ARMORED])
def test_every_other_status_is_unreachable_whatever_its_body(status: int, body: bytes) -> None:
    assert reason(ask(body, status)) == f"http-{status}"


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        ("no-certificate", b""),
        ("no-certificate", b"<html><title>Sign in to the network</title></html>"),
        ("no-certificate", b"<html><h1>404 Not Found</h1></html>"),
        ("no-certificate", b"The key not found anywhere is the one you want"),
        ("no-certificate", b"key not found\nDatabase error\n"),
        ("no-certificate", b"Key not found" + b"\n" * 5000),
        ("no-certificate", b"pub:\r\n"),
        ("no-certificate", b"info:1:\r\n"),
        ("no-certificate", b"info:1:00\r\n"),
        ("no-certificate", b"info:2:0\r\n"),
        ("no-certificate", b"info%3A1%3A0"),
        ("no-certificate", INDEX),
        ("no-certificate", INDEX.replace(b"info:1:1\r\n", b"")),
        ("no-certificate", INDEX.replace(b"info:1:1", b"info:1:0")),
        ("wrong-key", enarmor(BERTS)),
        ("wrong-key", BERTS + CLEOS),
        ("wrong-key", packet(13, b"smtp://anna.example.org")),
        ("truncated", ARMORED[:-40]),
        ("truncated", ARMORED[:100]),
        ("truncated", ARMORED[:39]),
        ("damaged", ARMORED.replace(CHECKSUM, b"=AAAA")),
        ("damaged", ARMORED.replace(b"\n\n", b"\n\n%%\n")),
        ("damaged", enarmor(ANNAS[:-3])),
        ("damaged", ANNAS[:-3]),
    ],
)
def test_a_200_without_the_whole_certificate_is_unreachable(expected: str, body: bytes) -> None:
    assert reason(ask(body)) == expected


def test_the_same_key_id_is_not_the_same_key() -> None:
    assert reason(ask(ARMORED, fingerprint="0" * 24 + ANNA.key_id)) == "wrong-key"
    assert reason(ask(ARMORED, fingerprint=ANNA.key_id)) == "wrong-key"


_PIECES = st.sampled_from(
    [ANNAS, BERTS, ARMORED, enarmor(BERTS), ARMORED[:90], ANNAS[:70], b"info:1:0\n", b"Key not found", b"<pre>", b"\n"]
)
_BODIES = st.binary(max_size=300) | st.lists(_PIECES | st.binary(max_size=9), max_size=5).map(b"".join)


@given(st.sampled_from([200, 404, 500]) | st.integers(100, 999), _BODIES, st.sampled_from([ANNA.fingerprint, "f" * 40]))
def test_any_response_is_one_of_three_and_never_found_without_the_fingerprint(
    status: int, body: bytes, fingerprint: str
) -> None:
    answer = ask(body, status, fingerprint)
    assert isinstance(answer, Found | Absent | Unreachable)
    if isinstance(answer, Found):
        assert (status, fingerprint) == (200, ANNA.fingerprint)
        assert answer.certificate.startswith(bytes((0xC6, len(ANNA.body))) + ANNA.body)
        assert find_certificate(answer.certificate, fingerprint) == answer.certificate
    if isinstance(answer, Absent):
        assert status == 404 or b"info:1:0" in body or b"not found" in body
    if isinstance(answer, Unreachable):
        assert answer.reason in {f"http-{status}", "wrong-key", "no-certificate", "truncated", "damaged"}


@given(st.integers(0, len(ARMORED) - 1), st.integers(0, 255))
def test_one_octet_changed_never_changes_the_certificate(at: int, octet: int) -> None:
    body = ARMORED[:at] + bytes((octet,)) + ARMORED[at + 1 :]
    answer = ask(body)
    assert answer == Found(WHOLE, S) or isinstance(answer, Unreachable)


def test_the_table_is_complete() -> None:
    assert {case for case, _ in TABLE} == {"".join(one) for count in (1, 2, 3) for one in product("FAU", repeat=count)}


@pytest.mark.parametrize(("said", "expected"), TABLE)
def test_quorum(said: str, expected: str) -> None:
    answers: dict[str, Answer] = {}
    for number, letter in enumerate(said):
        server = f"s{number}"
        failure = Unreachable(f"r{number}", (Cause(server, f"r{number}"),))
        each: dict[str, Answer] = {"F": Found(b"x", server), "A": Absent((server,)), "U": failure}
        answers[server] = each[letter]
    combined = combine(answers)
    assert type(combined).__name__[0] == expected
    if isinstance(combined, Absent):
        assert combined.servers == tuple(f"s{at}" for at, letter in enumerate(said) if letter == "A")
    if isinstance(combined, Unreachable):
        failed = tuple(Cause(f"s{at}", f"r{at}") for at, letter in enumerate(said) if letter == "U")
        assert (combined.reason, combined.causes) == (failed[0].reason, failed)


def test_nobody_asked_is_unreachable() -> None:
    assert combine({}) == Unreachable("no-keyservers")
