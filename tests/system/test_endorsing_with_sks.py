"""Endorsements through real keyservers and back, as GnuPG and Sequoia see them: made, renewed, revoked, handed on."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.endorsing_site import DAY, NOW, EndorsingSite, endorsing_site, host_key, signatures_by
from tests.sks import SksNode, gossiping_nodes
from trustgraph.endorsement.plan import Action
from trustgraph.keyserver.answer import Found
from trustgraph.keyserver.pool import Pool
from trustgraph.model import Identity, UnixSeconds, to_rfc3339
from trustgraph.openpgp.making import SecretHostKey, export_public
from trustgraph.services.endorsing import EndorseRun, endorse, plan_endorsements
from trustgraph.services.keymaking import create_key, finish_rotation, open_key
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.pinning import pin
from trustgraph.store.certificates import certifications_on

ACORN = "mail.acorn.example"
CERTIFICATION, REVOCATION = 0x10, 0x30


@dataclass(frozen=True)
class Others:
    """GnuPG and Sequoia, both with a clock that stands."""

    gpg: str
    sq: str
    sq_wot: str
    faketime: str
    folder: Path

    def gpg_signatures(self, certificates: Sequence[bytes], at: int) -> list[list[str]]:
        """``sig`` and ``rev`` records of --check-sigs: 1 is "!" for good, 10 the type, 12 the issuer."""
        home = self.folder / f"g{len(list(self.folder.iterdir()))}"
        home.mkdir(mode=0o700)
        command = [self.gpg, "--homedir", str(home), "--batch", "--no-tty", "--faked-system-time", str(at)]
        try:
            blob = b"".join(certificates)
            subprocess.run([*command, "--import"], input=blob, capture_output=True, check=True, timeout=60)
            said = subprocess.run(
                [*command, "--with-colons", "--check-sigs"], capture_output=True, check=True, timeout=60
            )
        finally:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=30)
        lines = said.stdout.decode().splitlines()
        return [line.split(":") for line in lines if line.startswith(("sig:", "rev:"))]

    def authenticates(self, certificates: Sequence[bytes], root: str, fingerprint: str, user_id: str, at: int) -> bool:
        """Whether Sequoia's web of trust finds a full path from ``root``."""
        ring = self.folder / "ring.pgp"
        ring.write_bytes(b"".join(certificates))
        clock = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        command = [self.faketime, clock, self.sq_wot, "--keyring", str(ring), "--trust-root", root.upper()]
        command += ["list"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"TZ": "UTC"}, check=False)
        assert done.returncode in (0, 1), done.stderr
        return f"[✓] {fingerprint.upper()} {user_id}: fully authenticated (100%)" in done.stdout.splitlines()

    def dump(self, certificate: bytes) -> str:
        """``sq packet dump``."""
        done = subprocess.run(
            [self.sq, "packet", "dump"], input=certificate, capture_output=True, check=True, timeout=60
        )
        return done.stdout.decode()


@pytest.fixture
def others(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Others:
    programs = (require(name) for name in ("gpg", "sq", "sq-wot", "faketime"))
    return Others(*programs, tmp_path_factory.mktemp("o"))


@pytest.fixture
def nodes(require: Callable[[str], str], tmp_path: Path) -> Iterator[list[SksNode]]:
    with gossiping_nodes(require("sks"), tmp_path / "sks") as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, nodes: list[SksNode]) -> Iterator[EndorsingSite]:
    made = endorsing_site(tmp_path / "site", [node.url for node in nodes])
    yield made
    made.store.close()


def publish(nodes: Sequence[SksNode], key: SecretHostKey) -> None:
    async def run() -> None:
        pool = Pool([node.url for node in nodes])
        assert all(one.ok for one in await pool.publish(export_public(key.certificate()), key.fingerprint))
        await pool.aclose()

    asyncio.run(run())


def fetched(node: SksNode, fingerprint: str) -> bytes:
    async def run() -> bytes:
        pool = Pool([node.url])
        answer = await pool.lookup(fingerprint)
        await pool.aclose()
        assert isinstance(answer, Found), answer
        return answer.certificate

    return asyncio.run(run())


def run(site: EndorsingSite, at: int) -> EndorseRun:
    done = endorse(site.store, site.settings, UnixSeconds(at), publish=True)
    assert (done.unpublished, done.notes) == (0, ())
    return done


def ours(node: SksNode, site: EndorsingSite, key: SecretHostKey, issuer: str = "") -> list[tuple[str, int, int]]:
    found = signatures_by(fetched(node, key.fingerprint), issuer or site.key.fingerprint)
    return sorted((user_id, type_, made_at) for user_id, type_, made_at, _ in found)


def test_an_endorsement_is_made_renewed_and_taken_back_for_all_to_see(
    site: EndorsingSite, nodes: list[SksNode], others: Others
) -> None:
    acorn = host_key(ACORN)
    user_id = f"smtp://{ACORN}"
    publish(nodes, acorn)
    publish(nodes, site.key)
    site.confirm(acorn, ACORN)
    site.mail(acorn, [5] * 4)

    def everywhere(at: int) -> tuple[list[tuple[str, int, int]], bool]:
        """What both keyservers have of us, and whether Sequoia trusts it; GnuPG finds all signatures good."""
        seen = []
        for node in nodes:
            certificates = [fetched(node, acorn.fingerprint), fetched(node, site.key.fingerprint)]
            assert {record[1] for record in others.gpg_signatures(certificates, at)} == {"!"}
            trusted = others.authenticates(certificates, site.key.fingerprint, acorn.fingerprint, user_id, at)
            seen.append((ours(node, site, acorn), trusted))
        assert seen[0] == seen[1]
        return seen[0]

    assert everywhere(NOW) == ([], False)
    first = run(site, NOW)
    assert [(e.action, e.subject.host) for e in first.done] == [(Action.ISSUE, ACORN)]
    assert everywhere(NOW + 60) == ([(user_id, CERTIFICATION, NOW)], True)
    assert not everywhere(NOW + 91 * DAY)[1], "it has expired by then"
    dump = others.dump(fetched(nodes[0], acorn.fingerprint))
    assert "Notation: good-mail@trustgraph (human readable): 16\n" in dump
    assert "Notation: since@trustgraph (human readable): 2026-09\n" in dump

    assert run(site, NOW + DAY).done == ()
    renewal = NOW + 61 * DAY
    site.mail(acorn, [10] * 4, now=renewal)
    assert [e.action for e in run(site, renewal).done] == [Action.RENEW]
    made = [(user_id, CERTIFICATION, NOW), (user_id, CERTIFICATION, renewal)]
    assert everywhere(NOW + 100 * DAY) == (made, True)

    turned = NOW + 70 * DAY
    site.mail(acorn, bad=[60] * 2, now=turned)
    assert [e.action for e in run(site, turned).done] == [Action.REVOKE]
    assert everywhere(turned + 60) == ([*made, (user_id, REVOCATION, turned)], False)
    assert "no longer vouched for" in others.dump(fetched(nodes[1], acorn.fingerprint))
    assert run(site, turned + DAY).done == ()
    known = certifications_on(site.store, Identity.openpgp(acorn.fingerprint), UnixSeconds(turned + DAY))
    assert [(to_rfc3339(c.made_at), c.revoked_at) for c in known] == [
        (to_rfc3339(renewal), turned),
        (to_rfc3339(NOW), turned),
    ]


def test_what_another_host_certified_stays_as_it_was(site: EndorsingSite, nodes: list[SksNode], tmp_path: Path) -> None:
    acorn, birch = host_key(ACORN), host_key("mail.birch.example")
    publish(nodes, acorn)
    other = endorsing_site(
        tmp_path / "other", [node.url for node in nodes], key=birch, site={"hostname": "mail.birch.example"}
    )
    for one in (site, other):
        one.confirm(acorn, ACORN)
    site.mail(acorn, [5] * 4)
    run(site, NOW)
    pin(other.store, other.settings, acorn.fingerprint, "a friend", NOW)
    assert [e.action for e in run(other, NOW + 5).done] == [Action.ISSUE]
    for node in nodes:
        assert ours(node, site, acorn) == [(f"smtp://{ACORN}", CERTIFICATION, NOW)]
        assert ours(node, site, acorn, birch.fingerprint) == [(f"smtp://{ACORN}", CERTIFICATION, NOW + 5)]
        # each self-signature once: sending a certificate back adds no second form of it
        assert len(ours(node, site, acorn, acorn.fingerprint)) == 2
    other.store.close()


def test_a_host_that_rotates_its_key_keeps_what_it_has_earned(
    site: EndorsingSite, nodes: list[SksNode], tmp_path: Path
) -> None:
    acorn = endorsing_site(tmp_path / "acorn", key=host_key(ACORN), site={"hostname": ACORN})
    old = acorn.key
    publish(nodes, old)
    site.confirm(old, ACORN)
    site.mail(old, [5] * 4)
    run(site, NOW)
    later = NOW + 3 * DAY
    new = create_key(acorn.settings, UnixSeconds(later), rotate=True)
    publish(nodes, new)
    finish_rotation(acorn.settings)
    assert open_key(acorn.settings).fingerprint == new.fingerprint
    site.mail(new, [1], now=later + DAY)
    before = plan_endorsements(site.store, site.settings, UnixSeconds(later + DAY))
    assert [e.action for e in before.entries if e.subject.fingerprint == new.fingerprint] == [Action.NOT_YET]
    site.confirm(new, ACORN, now=later + DAY)
    _fetched_by_the_gate(site, new, nodes[0], later + DAY)
    done = run(site, later + DAY)
    assert [(e.action, e.subject.fingerprint, e.subject.succeeds) for e in done.done] == [
        (Action.ISSUE, new.fingerprint, old.fingerprint)
    ]
    assert done.plan.budget_left == 19, "a successor is no new endorsement"
    for node in nodes:
        assert ours(node, site, new) == [(f"smtp://{ACORN}", CERTIFICATION, later + DAY)]
    acorn.store.close()


def _fetched_by_the_gate(site: EndorsingSite, key: SecretHostKey, node: SksNode, at: int) -> None:
    """Its certificate with what the old key says of it, as the drain ingests what the gate fetched."""
    path = site.settings.milter.state / f"{key.fingerprint}.pgp"
    path.write_bytes(fetched(node, key.fingerprint))
    ingest_keyrings(site.store, site.settings, [path], UnixSeconds(at))
