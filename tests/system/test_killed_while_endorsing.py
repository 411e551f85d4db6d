"""kill -9 anywhere in issuing and publishing, against real keyservers: nothing twice, nothing made up, nothing lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.endorsing_site import DAY, NOW, US, EndorsingSite, endorsing_site, host_key, signatures_by
from tests.sks import SksNode, gossiping_nodes
from tests.unit.openpgp.openpgp_reading import read
from trustgraph.keyserver.answer import Answer, Found
from trustgraph.keyserver.pool import Pool
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.attaching import attach
from trustgraph.openpgp.framing import Packet, Tag, serialise
from trustgraph.openpgp.making import SecretHostKey, export_public
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.services.endorsing import endorse
from trustgraph.store.endorsement_facts import given_by
from trustgraph.store.own_endorsements import Statement, statements_of, unpublished

ROOT = Path(__file__).parents[2]

#: Where runs are killed, by what they are about then, and how often: in each of so many equal parts of it once. Most
#: lines are about reading keys, and few about the moments that matter most.
POINTS = {
    "recording": (8, ["services/endorsing", "services/endorsement_making", "store/own_", "openpgp/making"]),
    "sending": (8, ["services/endorsement_publishing", "keyserver/publish", "store/own_", "keyserver/server"]),
    "anything": (4, [""]),
}
BEFORE = UnixSeconds(NOW - 70 * DAY)

CERTIFICATION, REVOCATION = 0x10, 0x30


class Child:
    """What :mod:`tests.system.endorsing_child` does, from outside."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.system.endorsing_child"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, home: Path, *, kill_at: int = 0, parts: Sequence[str] = ()) -> tuple[int, int]:
        """(exit status, steps); the status is negative when a signal ended it."""
        assert self.process.stdin
        assert self.process.stdout
        command = {"home": str(home), "now": NOW, "kill_at": kill_at, "parts": list(parts)}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["status"], answer["steps"]


@contextmanager
def forking_child() -> Iterator[Child]:
    child = Child()
    try:
        yield child
    finally:
        child.process.communicate(timeout=60)


@dataclass
class Case:
    """A site with two hosts to endorse, one to renew and one to revoke; ``number`` makes all keys its own."""

    home: Path
    site: EndorsingSite
    new: list[SecretHostKey]
    due: SecretHostKey
    lost: SecretHostKey

    @property
    def subjects(self) -> list[SecretHostKey]:
        return [*self.new, self.due, self.lost]


def case(home: Path, number: int, nodes: Sequence[SksNode]) -> Case:
    urls = [node.url for node in nodes]
    site = endorsing_site(home, urls, key=host_key(US, NOW - 400 * DAY - number))
    keys = {name: host_key(f"mx.{name}{number}.example") for name in ("acorn", "birch", "cedar", "dogwood")}
    asyncio.run(publish(urls, keys.values()))
    for key in keys.values():
        site.confirm(key, key.user_ids[0].removeprefix("smtp://"))
    acorn, birch, due, lost = keys.values()
    for key in (due, lost):
        site.mail(key, [8] * 4, now=BEFORE)
    run = endorse(site.store, site.settings, BEFORE, publish=True)
    assert (len(run.done), run.unpublished, run.notes) == (2, 0, ())
    for key in (acorn, birch, due):
        site.mail(key, [8] * 4)
    site.mail(lost, bad=[9] * 2)
    return Case(home, site, [acorn, birch], due, lost)


async def publish(urls: Sequence[str], keys: Iterable[SecretHostKey]) -> None:
    pool = Pool(urls)
    try:
        for key in keys:
            assert all(one.ok for one in await pool.publish(export_public(key.certificate()), key.fingerprint))
    finally:
        await pool.aclose()


def seen_on(nodes: Sequence[SksNode], one: Case) -> list[dict[str, list[bytes]]]:
    """For each keyserver, by fingerprint: the packets of ours that it has."""

    async def look(node: SksNode) -> dict[str, list[bytes]]:
        pool = Pool([node.url])
        try:
            answers = await asyncio.gather(*(pool.lookup(key.fingerprint) for key in one.subjects))
        finally:
            await pool.aclose()
        return {key.fingerprint: ours_in(answer) for key, answer in zip(one.subjects, answers, strict=True)}

    def ours_in(answer: Answer) -> list[bytes]:
        assert isinstance(answer, Found), answer
        found = signatures_by(answer.certificate, one.site.key.fingerprint)
        return sorted(serialise(Packet(Tag.SIGNATURE, body)) for _, _, _, body in found)

    async def look_everywhere() -> list[dict[str, list[bytes]]]:
        return [await look(node) for node in nodes]

    return asyncio.run(look_everywhere())


def on_record(one: Case, key: SecretHostKey) -> list[Statement]:
    return statements_of(one.site.store, key.fingerprint)


def packets(statements: Sequence[Statement]) -> list[bytes]:
    return sorted(statement.packet for statement in statements)


def check_nothing_made_up(one: Case, seen: Sequence[dict[str, list[bytes]]]) -> None:
    """Whatever a keyserver has of us is on record, and what is on record is in the network, and the other way round."""
    issuer = one.site.key.fingerprint
    with one.site.store.reading() as connection:
        network = given_by(connection, [issuer])
    for key in one.subjects:
        record = on_record(one, key)
        for statement in record:
            assert_verifies(one, key, statement)
        for server in seen:
            assert set(server[key.fingerprint]) <= set(packets(record))
        newest = max((s.made_at for s in record if s.type == CERTIFICATION), default=None)
        assert [given.made_at for given in network.get(key.fingerprint, [])] == ([newest] if newest else [])
        revoked = [s.made_at for s in record if s.type == REVOCATION]
        assert [g.revoked_at for g in network.get(key.fingerprint, []) if g.revoked_at] == revoked


def check_all_done_once(one: Case, nodes: Sequence[SksNode]) -> None:
    seen = seen_on(nodes, one)
    check_nothing_made_up(one, seen)
    for key, types in (
        *((key, [CERTIFICATION]) for key in one.new),
        (one.due, [CERTIFICATION, CERTIFICATION]),
        (one.lost, [CERTIFICATION, REVOCATION]),
    ):
        record = on_record(one, key)
        assert [statement.type for statement in record] == types
        for server in seen:
            assert server[key.fingerprint] == packets(record)
    assert unpublished(one.site.store, servers(nodes), NOW) == []


def assert_verifies(one: Case, key: SecretHostKey, statement: Statement) -> None:
    certificate = export_public(key.certificate())
    octets = attach(certificate, certificate, {statement.user_id: [statement.packet]})
    fates = read(octets, own_packet(one), at=NOW).fates
    assert (fates.get("good", 0), fates.get("revocation", 0)) == ((1, 0) if statement.type == CERTIFICATION else (0, 1))


def own_packet(one: Case) -> bytes:
    key = one.site.key
    return read_host_certificate([export_public(key.certificate())], key.fingerprint, NOW).key.packet


def moment(one: Case, seen: Sequence[dict[str, list[bytes]]]) -> str:
    """How far a run has come."""
    made = sum(len(on_record(one, key)) for key in one.subjects) - 2
    there = [sum(map(len, server.values())) - 2 for server in seen]
    if made in (0, 4) and there in ([0] * len(seen), [4] * len(seen)):
        return f"{made} on record, {'on all' if there[0] else 'on no'} keyservers"
    return "between records" if made < 4 else "between keyservers"


def servers(nodes: Sequence[SksNode]) -> list[str]:
    return [node.url.replace("hkp", "http") for node in nodes]


def test_no_endorsement_is_made_twice_made_up_or_lost(require: Callable[[str], str], tmp_path: Path) -> None:
    dice = random.Random(20)
    moments = set()
    with gossiping_nodes(require("sks"), tmp_path / "sks") as nodes, forking_child() as child:
        numbers = itertools.count()
        for points, parts in POINTS.values():
            whole = case(tmp_path / str(number := next(numbers)), number, nodes)
            status, steps = child.run(whole.home, parts=parts)
            assert status == 0
            check_all_done_once(whole, nodes)
            for point in range(points):
                one = case(tmp_path / str(number := next(numbers)), number, nodes)
                for _ in range(1 + (point % 3 == 2)):  # every third is killed again in its second run
                    kill_at = int((point + dice.random()) / points * steps * 0.98) + 1
                    status, _ = child.run(one.home, kill_at=kill_at, parts=parts)
                    assert status in (-signal.SIGKILL, 0), "the second run may have less to do"
                    seen = seen_on(nodes, one)
                    moments.add(moment(one, seen))
                    check_nothing_made_up(one, seen)
                for _ in range(2):
                    assert child.run(one.home)[0] == 0
                check_all_done_once(one, nodes)
                one.site.store.close()
            whole.site.store.close()
    assert {"0 on record, on no keyservers", "between records", "4 on record, on no keyservers"} <= moments
    assert moments & {"between keyservers", "4 on record, on all keyservers"}
