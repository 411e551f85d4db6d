"""Owner approval among others: SKS carries it, GnuPG passes over it, Sequoia finds it good."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flood import submit
from tests.sks import gossiping_nodes
from tests.system.test_making_with_gnupg import MADE, NOW, Gpg, gpg
from trustgraph.model import Identity, UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.approval import canonical_form, digest_of
from trustgraph.openpgp.framing import Tag, read_packets, sole_packet
from trustgraph.openpgp.signature import SignatureType, parse_signature
from trustgraph.services.fetched_keys import ingest_from_keyservers
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.certificates import certifications_on

__all__ = ["gpg"]

SMTP = "smtp://mx.owner.example"
OWNER, ANNA, BERT = (making.new_host_key(f"mx.{name}.example", MADE) for name in ("owner", "anna", "bert"))
SHA256 = 8


@pytest.fixture(scope="module")
def approving() -> bytes:
    """A certificate with endorsements by Anna and Bert, of which its owner approves of Anna's."""
    certificate = OWNER.certificate()
    by_anna, _by_bert = (making.certify(one, certificate, SMTP, UnixSeconds(MADE + 60)) for one in (ANNA, BERT))
    packet = sole_packet(by_anna)
    assert packet is not None
    assert packet.body is not None
    digest = digest_of(canonical_form(parse_signature(packet.body)), SHA256)
    word = making.approve(OWNER, SMTP, UnixSeconds(MADE + 120), [digest])
    return making.export_public(certificate) + b"".join(word)


def words_in(certificate: bytes) -> int:
    packets = read_packets(io.BytesIO(certificate), lambda _problem: None)
    bodies = [one.body for one in packets if one.tag is Tag.SIGNATURE and one.body]
    return sum(parse_signature(body).type == SignatureType.APPROVAL for body in bodies)


def test_gnupg_reads_the_certificate_and_passes_over_it(gpg: Gpg, approving: bytes) -> None:
    assert words_in(approving) == 1
    gpg.run("--import", given=b"".join(making.export_public(one.certificate()) for one in (ANNA, BERT)))
    gpg.run("--import", given=approving)
    found = [record for record in gpg.signatures() if record[9] and record[12].lower() != OWNER.fingerprint]
    assert {record[1] for record in found} == {"!"}
    assert {ANNA.fingerprint, BERT.fingerprint} <= {record[12].lower() for record in found}


def test_sequoia_finds_it_good(require: Callable[[str], str], approving: bytes, tmp_path: Path) -> None:
    path = tmp_path / "owner.pgp"
    path.write_bytes(approving)
    sq = require("sq")

    def run(*arguments: str) -> str:
        done = subprocess.run([sq, *arguments, str(path)], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    assert "AttestationKey" in run("packet", "dump")
    assert "Bad Signature" not in run("inspect", "--certifications")
    # A signature of this type that covers something else is told apart.
    path.write_bytes(approving.replace(b"mx.owner.example", b"mx.other.example"))
    assert "Bad Signature" in run("inspect", "--certifications")


def test_it_comes_back_from_a_keyserver_and_counts(
    require: Callable[[str], str], approving: bytes, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'trustgraph.db'}", create=True)
    with gossiping_nodes(require("sks"), tmp_path / "sks", 1) as [node]:
        for certificate in (approving, *(making.export_public(one.certificate()) for one in (ANNA, BERT))):
            submit(node, certificate)
        fingerprints = [one.fingerprint for one in (OWNER, ANNA, BERT)]
        done = ingest_from_keyservers(store, Settings(), [node.url], fingerprints, NOW)
    assert (done.absent, done.unreachable) == ((), ())
    identity = Identity.openpgp(OWNER.fingerprint)
    found = {one.endorser.value: one.approved for one in certifications_on(store, identity, NOW)}
    assert found == {ANNA.fingerprint: True, BERT.fingerprint: False}
    store.close()
