"""The reading pipeline on octets in memory, without files, store or processes."""

from __future__ import annotations

import io
from typing import NamedTuple

from tests.unit.openpgp.openpgp_maker import BORN
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.armor import open_blocks
from trustgraph.openpgp.certificate import Certificate, Facts
from trustgraph.openpgp.framing import Tag, read_packets
from trustgraph.openpgp.issuers import IssuerIndex, primary_keys
from trustgraph.openpgp.publickey import parse_public_key
from trustgraph.openpgp.sections import Fate, Section, read_sections
from trustgraph.openpgp.selfsigned import KeyPolicy
from trustgraph.openpgp.verification import verify_all

LATER = UnixSeconds(BORN + 1_000_000)


class Read(NamedTuple):
    facts: list[Facts]
    problems: list[str]

    @property
    def fates(self) -> dict[str, int]:
        """Fates of all certificates added up."""
        return {fate.value: sum(one.fates[fate] for one in self.facts) for fate in Fate if self._has(fate)}

    def _has(self, fate: Fate) -> bool:
        return any(one.fates[fate] for one in self.facts)


def read(data: bytes, *known: bytes, at: int = LATER, **policy: int) -> Read:
    """What a keyring comes to; ``known`` are key packet bodies of issuers that are not in it."""
    problems: list[str] = []
    facts: list[Facts] = []
    rules = KeyPolicy(at=UnixSeconds(at), **{name: UnixSeconds(value) for name, value in policy.items()})
    with IssuerIndex() as issuers:
        issuers.add(parse_public_key(body) for body in known)
        for block in open_blocks(io.BytesIO(data), lambda _problem: None):
            packets = read_packets(block, lambda _problem: None, frozenset({Tag.PUBLIC_KEY}))
            issuers.add(primary_keys(packets))
        certificate: Certificate | None = None
        for block in open_blocks(io.BytesIO(data), problems.append):
            for section in read_sections(read_packets(block, problems.append), issuers, problems.append):
                if not isinstance(section, Section):
                    continue
                certificate = certificate or Certificate(section.key, rules)
                certificate.add(section, verify_all(section.jobs()))
                if section.last:
                    facts.append(certificate.finish())
                    certificate = None
    return Read(facts, problems)
