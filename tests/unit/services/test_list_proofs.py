"""Signed tokens in all the forms in which replies come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.signed_posts import encoded, inline, multipart, part, pgp_mime
from tests.unit.services.stashes import ANNA, LIST, NOW, make_key, stash_in
from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import Binding, Kind, SignedContent
from trustgraph.mailinglist.replies import MAX_SIGNED_OCTETS, signed_text
from trustgraph.services.list_deposits import deposit
from trustgraph.services.list_proofs import read_proof
from trustgraph.services.list_stash import Stash
from trustgraph.services.list_subscribers import subscribe

HERS = make_key(ANNA).signing(at=NOW)


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    made = stash_in(tmp_path)
    subscribe(made, ANNA, NOW)
    yield made
    made.store.close()


@pytest.fixture
def token(stash: Stash) -> str:
    text = deposit(stash, ANNA, HERS.public, NOW).token_text
    assert text
    return "Grüße,\n" + "".join(f"> {line}\n" for line in text.splitlines()) + "-- \nAnna\n"


def proven(stash: Stash, message: bytes) -> None:
    proof = read_proof(stash, message, NOW)
    assert proof.signers == {HERS.fingerprint}
    assert [(one.list_address, one.address) for one in proof.tokens] == [(LIST, ANNA)]


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_in_every_transfer_encoding(stash: Stash, token: str, encoding: str) -> None:
    proven(stash, pgp_mime(HERS, entity=part(token, encoding=encoding)))
    proven(stash, inline(HERS, token, encoding=encoding))


def test_in_one_of_several_parts(stash: Stash, token: str) -> None:
    entity = multipart(part("<p>See the other.</p>", "text/html"), multipart(part(token, encoding="8bit")))
    proven(stash, pgp_mime(HERS, entity=entity))


def test_with_line_ends_of_unix(stash: Stash, token: str) -> None:
    proven(stash, pgp_mime(HERS, entity=part(token, encoding="quoted-printable")).replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "text/x-diff"])
def test_not_in_a_part_that_nobody_reads_as_text(stash: Stash, token: str, kind: str) -> None:
    with pytest.raises(BadInput, match="are not in what is signed"):
        read_proof(stash, pgp_mime(HERS, entity=part(token, kind, encoding="base64")), NOW)


def test_not_in_a_message_within_the_message(stash: Stash, token: str) -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\nFrom: x@y.example\r\n\r\n" + encoded(token.encode(), "8bit")
    with pytest.raises(BadInput, match="are not in what is signed"):
        read_proof(stash, pgp_mime(HERS, entity=multipart(inner)), NOW)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SignedContent(Kind.INLINE, b"x" * (MAX_SIGNED_OCTETS + 1), b"", Binding()), "at most"),
        (SignedContent(Kind.HEADER, b"", b"", Binding()), "not its header"),
        (SignedContent(Kind.PGP_MIME, b"no header", b"", Binding()), "empty line"),
    ],
)
def test_what_cannot_be_read_is_refused(content: SignedContent, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        signed_text(content)
