"""What is fuzzed. Each target takes octets and raises nothing but the project's own errors; whatever else is a bug."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests import signed_posts
from tests.judged_posts import Ring
from tests.milter_client import Message, packet, strings
from trustgraph.errors import TrustgraphError
from trustgraph.headersig.canonical import body_hash
from trustgraph.headersig.checking import check_signature, envelope_holds, presented_signatures, replay_key, uncovered
from trustgraph.headersig.field import parse_field
from trustgraph.headersig.message import join_message, split_message, with_network_line_ends
from trustgraph.headersig.signing import Envelope
from trustgraph.headersig.tags import parse_tags
from trustgraph.headersig.text import Header
from trustgraph.keyserver.answer import Absent, Found, Unreachable, read_response
from trustgraph.mailinglist.enclosed import enclosed_keys
from trustgraph.mailinglist.reading import read_post
from trustgraph.milter.protocol import Decoder
from trustgraph.milter.smtpd import Bounds, Conversation, Received
from trustgraph.model import Result, UnixSeconds
from trustgraph.openpgp.deposits import read_deposit
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.transferable import enarmor, find_certificate
from trustgraph.services.gate_socket import split_request

GOLDEN = Path(__file__).parents[1] / "golden" / "headersig"
SMTPD = Path(__file__).parents[1] / "golden" / "smtpd"
NOW = UnixSeconds(1_790_000_000)

Target = Callable[[bytes], None]


def _host() -> HostCertificate:
    octets = (GOLDEN / "host.pgp").read_bytes()
    (name,) = {one.signature.fingerprint for one in _presented((GOLDEN / "message.eml").read_bytes()) if one.signature}
    return read_host_certificate([octets], name, NOW)


def _presented(message: bytes):  # type: ignore[no-untyped-def]  # a list of Presented
    fields, _body = split_message(with_network_line_ends(message))
    return presented_signatures(Header(fields))


def field(octets: bytes) -> None:
    """The field parser."""
    with suppress(TrustgraphError):
        parse_tags(octets)
    with suppress(TrustgraphError):
        parse_field(octets)


def milter(octets: bytes) -> None:
    """The milter protocol, the first octet saying into what pieces the rest is cut."""
    decoder = Decoder(max_packet_bytes=4096)
    size = octets[0] + 1 if octets else 1
    with suppress(TrustgraphError):
        for at in range(1, len(octets), size):
            decoder.feed(octets[at : at + size])
            for _event in decoder.events():
                pass


def keyserver(octets: bytes) -> None:
    """HKP answers, the first octet choosing the status."""
    status = (200, 404, 500, 301)[octets[0] % 4] if octets else 200
    answer = read_response("http://keys.example", status, octets[1:], HOST.fingerprint, NOW)
    assert isinstance(answer, Found | Absent | Unreachable)
    if isinstance(answer, Found):
        assert read_host_certificate([answer.certificate], HOST.fingerprint, NOW).fingerprint == HOST.fingerprint
    with suppress(TrustgraphError):
        find_certificate(octets[1:], HOST.fingerprint)


def certificate(octets: bytes) -> None:
    """Certificates, and what their merging comes to: reading what was kept gives the same again."""
    with suppress(TrustgraphError):
        read = read_host_certificate([octets, HOST.octets], HOST.fingerprint, NOW)
        again = read_host_certificate([read.octets], HOST.fingerprint, NOW)
        assert again.octets == read.octets
        assert again.hosts == read.hosts


def signature(octets: bytes) -> None:
    """OpenPGP signature packets on the accept path: nothing made up passes."""
    assert HOST.judge(octets, b"text", next(iter(HOST.hosts)), NOW, NOW).result is not Result.PASS


def verify(octets: bytes) -> None:
    """Whole messages: a pass means that the signed parts are those of the golden message."""
    try:
        fields, body = split_message(with_network_line_ends(octets))
        header = Header(fields)
    except TrustgraphError:
        return
    assert split_message(join_message(fields, body)) == (fields, body)
    for presented in presented_signatures(header):
        found = check_signature(presented, header, body_hash(body), HOST, NOW)
        replay_key(presented)
        if presented.signature:
            envelope_holds(presented.signature, Envelope(b"a@example.org", (b"b@example.net",)))
            uncovered(presented.signature, header)
        if found.result is Result.PASS:
            assert presented.signature is not None
            assert header.signed_text(presented.signature.names, presented.value) == SIGNED_TEXT
            assert body_hash(body) == BODY_HASH


def socket(octets: bytes) -> None:
    """The request of an MTA that asks over a socket."""
    with suppress(TrustgraphError):
        split_request(octets)


def filter_lines(octets: bytes) -> None:
    """OpenSMTPD's conversation, cut into pieces as above: nothing accepted is given back but what came in."""
    conversation = Conversation(Bounds(sessions=8, message_octets=2_048, held_octets=4_096, protocol_line_octets=1_024))
    size = octets[0] + 1 if octets else 1
    with suppress(TrustgraphError):
        for at in range(1, len(octets), size):
            for event in conversation.receive(octets[at : at + size]):
                if isinstance(event, Received):
                    lines = b"".join(conversation.accept(event.message, bytes(event.message.text))).split(b"\n")
                    assert all(line.startswith(b"filter-") for line in lines if line)


def post(octets: bytes) -> None:
    """Posts to a list: what passes by a subscriber's key is what that key signed, and nothing else is shown."""
    with suppress(TrustgraphError):
        enclosed_keys(octets)
    try:
        read, findings = SUBSCRIBERS.judge(octets)
    except TrustgraphError:
        return
    assert not (read.problem and read.contents)
    assert read.author or read.problem
    passing = {one.kind for one in findings if one.result is Result.PASS}
    assert all(one.text in SIGNED_TEXTS for one in read.contents if one.kind in passing)


def deposit(octets: bytes) -> None:
    """Keys handed in: what is taken can be read again, and comes to the same."""
    with suppress(TrustgraphError):
        fingerprint, kept = read_deposit(octets, NOW)
        assert read_deposit(kept, NOW) == (fingerprint, kept)


TARGETS: Mapping[str, Target] = {
    one.__name__: one
    for one in (field, milter, keyserver, certificate, signature, verify, socket, filter_lines, post, deposit)
}


def seeds(target: str) -> list[bytes]:
    """Well-formed input to start from."""
    messages = [path.read_bytes() for path in sorted(GOLDEN.glob("*.eml"))]
    keys = [path.read_bytes() for path in sorted(GOLDEN.glob("*.pgp"))]
    signatures = [one for message in messages for one in _presented(message)]
    found = {
        "field": [one.value for one in signatures],
        "milter": [bytes((255,)) + _dialogue()],
        "keyserver": [
            b"\0" + enarmor(HOST.octets),
            b"\0" + HOST.octets,
            b"\1",
            b"\0info:1:0\r\n",
            *(b"\0" + k for k in keys),
        ],
        "certificate": keys,
        "signature": [one.signature.signature for one in signatures if one.signature],
        "verify": messages,
        "filter_lines": [bytes((255,)) + _said_by_smtpd(path) for path in sorted(SMTPD.glob("*.txt"))],
        "post": [*POSTS, signed_posts.unsigned(ANNA.address), signed_posts.header(ANNA)],
        "deposit": [ANNA.public, signed_posts.public_block(CARL), *keys],
        "socket": [b"client-ip: 192.0.2.1\nhelo: a.example\nrcpt: b@c.example\n\n" + message for message in messages],
    }
    return found[target]


def _said_by_smtpd(dialogue: Path) -> bytes:
    lines = dialogue.read_bytes().splitlines(keepends=True)
    return b"".join(line.removeprefix(b"< ") for line in lines if line.startswith(b"< "))


def _dialogue() -> bytes:
    message = Message()
    parts = [
        packet(b"O", b"\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"),
        packet(b"D", b"C" + strings(b"j", b"mx.example")),
        packet(b"C", strings(b"mx.example") + b"4\0\x19" + strings(b"192.0.2.1")),
        packet(b"H", strings(b"mx.example")),
        packet(b"M", strings(message.mail_from)),
        packet(b"R", strings(*message.recipients)),
        packet(b"T"),
        *(packet(b"L", strings(name, value)) for name, value in message.fields),
        packet(b"N"),
        packet(b"B", message.body),
        packet(b"E"),
        packet(b"Q"),
    ]
    return b"".join(parts)


ANNA = signed_posts.make_key("anna@example.org")
CARL = signed_posts.make_key("carl@example.org", flags=1, subkey_flags=2)
_NESTED = signed_posts.multipart(signed_posts.part("a\n"), signed_posts.part("b\n", encoding="base64"))
POSTS = [
    signed_posts.pgp_mime(ANNA, bound=True),
    signed_posts.pgp_mime(CARL, entity=_NESTED, also=[ANNA]),
    signed_posts.inline(ANNA, "- \u00fc \n", encoding="quoted-printable"),
    signed_posts.inline(CARL, "From\n", encoding="base64"),
]
SUBSCRIBERS = Ring(ANNA.public, CARL.public)
SIGNED_TEXTS = {content.text for one in POSTS for content in read_post(one).contents} | {b""}
HOST = _host()
_FIELDS, _BODY = split_message(with_network_line_ends((GOLDEN / "message.eml").read_bytes()))
_SIGNATURE = presented_signatures(Header(_FIELDS))[0]
assert _SIGNATURE.signature is not None
SIGNED_TEXT = Header(_FIELDS).signed_text(_SIGNATURE.signature.names, _SIGNATURE.value)
BODY_HASH = body_hash(_BODY)
