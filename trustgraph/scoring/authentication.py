"""Web-of-trust authentication: how far the anchors vouch, through introducers, for one key being one name's.

The metric of Sequoia's web of trust (Walfield, "OpenPGP Web of Trust", the specification that comes with sequoia-wot).
A certification says that a User ID belongs to a key, and with depth d and an amount up to 120 that the key's owner may
say so of others, up to d steps on, of User IDs in its scope. The amount of a path from a root to a binding is the least
along it. Paths are found one after another in what the earlier ones have left over, and their amounts add up: 40 is a
partial, 120 a full, 240 a double authentication.

Backward propagation finds for every key its best way to the binding: the shortest, since a longer one could break the
depth limits of those who lead to it, and of the shortest the widest. Of the ways that begin at a root the widest is
taken, then the shortest. Ways that end with the key's own word for the binding go first: whoever is trusted to
introduce others is trusted with his own User IDs. What a path takes is never given back, so this is a greedy lower
bound of the maximum flow, and may be below it.

Cost: a pass over the certifications behind a binding for each path and kind of path. Guarantee: whom no root reaches
through delegations has 0, whatever the others certify; a binding in a group of keys without a root gets no more than
the amounts on the pairs of keys that certify into the group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trustgraph.errors import NotConverged
from trustgraph.model import Certification, HostKey, UnixSeconds
from trustgraph.scoring.scope import in_scope

FULL = 120
PARTIAL = 40

#: RFC 9580 section 5.2.3.21 has one octet for the depth; its highest value stands for no limit.
UNLIMITED = 255

#: Certifications looked at on behalf of one network, those with a scope counted by its length: minutes of work.
MAX_STEPS = 300_000_000


class Edge(NamedTuple):
    """A certification in force: ``issuer`` says that ``user_id`` is the owner of ``subject``.

    ``depth``: how many certifications may follow it. ``amount``: 0 to 255, of which 120 count. ``regexes``: as
    :func:`in_scope` takes them.
    """

    issuer: str
    subject: str
    user_id: str
    depth: int = 0
    amount: int = FULL
    regexes: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """From ``root`` along ``edges`` to a binding, without any if the root claims it itself.

    ``own_word``: the last certification is over another User ID, and the key's self-signature leads on to this one.
    """

    root: str
    edges: tuple[Edge, ...]
    amount: int
    own_word: bool = False

    @property
    def length(self) -> int:
        """Certifications, the key's own included."""
        return len(self.edges) + self.own_word


class _Way(NamedTuple):
    """A key's best way on to the binding; ``edge`` is its first certification, None at the binding itself."""

    amount: int
    edge: Edge | None


@dataclass(slots=True)
class CertificationNetwork:
    """Certifications by subject, and the (key, User ID) that may be authenticated: self-signed, both live."""

    into: Mapping[str, Sequence[Edge]]
    bindings: frozenset[tuple[str, str]]
    _steps: int = field(default=0, init=False)

    def authenticate(
        self, roots: Mapping[str, int], subject: str, user_id: str, *, wanted: int = FULL
    ) -> tuple[Path, ...]:
        """Paths to a binding from ``roots`` (amounts 1 to 120), until their sum is ``wanted`` or there are no more.

        The sum may exceed ``wanted`` by the last path. Raises :class:`NotConverged` after ``MAX_STEPS``.
        """
        paths: list[Path] = []
        taken: Counter[tuple[str, str]] = Counter()
        if (subject, user_id) not in self.bindings:
            return ()
        while sum(path.amount for path in paths) < wanted:
            # Every path takes at least 1 from a pair of keys, of which there are finitely many.
            search = _Search(self, roots, subject, user_id, taken)
            path = search.best(own_word=True) or search.best(own_word=False)
            if path is None:
                break
            paths.append(path)
            taken.update({(edge.issuer, edge.subject): path.amount for edge in path.edges})
            if path.own_word or not path.edges:
                taken[subject, subject] += path.amount
        return tuple(paths)

    def count_steps(self, steps: int) -> None:
        """Raise :class:`NotConverged` when a network costs more than anybody's real one."""
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise NotConverged(f"authentication: looked at more than {MAX_STEPS:,} certifications; none is left out")


def network_of_edges(edges: Iterable[Edge], bindings: Iterable[tuple[str, str]]) -> CertificationNetwork:
    """The network of certifications in force, in an order that is theirs alone."""
    into: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        into[edge.subject].append(edge)
    for found in into.values():
        found.sort()
    return CertificationNetwork(dict(into), frozenset(bindings))


def certification_network(
    keys: Iterable[HostKey], certifications: Iterable[Certification], at: UnixSeconds
) -> CertificationNetwork:
    """What is in force at ``at``, by fingerprint.

    A certification is, unless it is weak, expired or revoked, if both keys were live when it was made, and if no newer
    one by the same issuer over the same User ID is; one that is out of force hides no older one. So a key that expired,
    or was retired, takes nothing back. A binding can be authenticated if key and User ID are live at ``at``. A hard
    revocation undoes the past as well (RFC 9580 section 5.2.3.31).
    """
    known = {key.fingerprint: key for key in keys if key.self_signed_at}
    newest: dict[tuple[str, str, str], list[Certification]] = {}
    for made in certifications:
        issuer, subject = known.get(made.issuer), known.get(made.subject)
        if not issuer or not subject or not _is_in_force(made, at):
            continue
        if not (_is_live(issuer, made.made_at) and _is_live(subject, made.made_at)):
            continue
        kept = newest.setdefault((made.issuer, made.subject, made.user_id), [])
        if not kept or made.made_at >= kept[0].made_at:
            # Two of the same second stand side by side: neither is newer.
            kept[:] = [one for one in kept if one.made_at == made.made_at] + [made]
    edges = (
        Edge(one.issuer, one.subject, one.user_id, one.depth, one.amount, one.regex)
        for kept in newest.values()
        for one in kept
    )
    return network_of_edges(
        edges,
        (
            (key.fingerprint, user_id.text)
            for key in known.values()
            if _is_live(key, at)
            for user_id in key.user_ids
            if user_id.revoked_at is None or user_id.revoked_at > at
        ),
    )


def _is_in_force(made: Certification, at: UnixSeconds) -> bool:
    return (
        not made.weak
        and made.made_at <= at
        and (made.expires_at is None or made.expires_at > at)
        and (made.revoked_at is None or made.revoked_at > at)
    )


def _is_live(key: HostKey, at: UnixSeconds) -> bool:
    return (
        not key.hard_revoked
        and key.created_at <= at
        and (key.expires_at is None or key.expires_at > at)
        and (key.revoked_at is None or key.revoked_at > at)
    )


class _Search:
    """The best path to one binding in what is left of a network after ``taken`` was taken, by pair of keys."""

    def __init__(
        self,
        network: CertificationNetwork,
        roots: Mapping[str, int],
        subject: str,
        user_id: str,
        taken: Mapping[tuple[str, str], int],
    ) -> None:
        self._network = network
        self._roots = roots
        self._subject = subject
        self._user_id = user_id
        self._taken = taken

    def best(self, *, own_word: bool) -> Path | None:
        """The widest path from a root, of those the shortest; with ``own_word`` only by trust in the key's owner."""
        ways = self._ways(own_word=own_word)
        paths = (self._path(root, ways, own_word=own_word) for root in self._roots if root in ways)
        found = [path for path in paths if path is not None]
        return max(found, key=lambda path: (path.amount, -path.length, path.root), default=None)

    def _left(self, issuer: str, subject: str, amount: int) -> int:
        """No certification is worth more than 120, and none by a root that is trusted in part more than that root."""
        return max(0, min(amount, self._roots.get(issuer, FULL)) - self._taken.get((issuer, subject), 0))

    def _ways(self, *, own_word: bool) -> dict[str, _Way]:
        """Every key's best way to the binding, level by level: all ways of one length are known before the next."""
        target = self._subject
        ways = {target: _Way(FULL, None)}
        level, length = [target], int(own_word)
        while level:
            found: dict[str, _Way] = {}
            for subject in level:
                edges = self._network.into.get(subject, ())
                self._network.count_steps(1 + len(edges))
                reached = ways[subject].amount
                for edge in edges:
                    if edge.issuer in ways or (edge.depth < length and edge.depth != UNLIMITED):
                        continue
                    if subject == target and not own_word and edge.user_id != self._user_id:
                        continue
                    amount = min(reached, self._left(edge.issuer, subject, edge.amount))
                    known = found.get(edge.issuer)
                    if amount > (known.amount if known else 0) and self._in_scope(edge.regexes):
                        found[edge.issuer] = _Way(amount, edge)
            ways |= found
            level, length = sorted(found), length + 1
        return ways

    def _in_scope(self, regexes: str) -> bool:
        self._network.count_steps(len(regexes) * len(self._user_id) // 4)
        return in_scope(regexes, self._user_id)

    def _path(self, root: str, ways: Mapping[str, _Way], *, own_word: bool) -> Path | None:
        if root == self._subject:
            amount = self._left(root, root, FULL) if own_word else 0
            return Path(root, (), amount) if amount else None
        edges: list[Edge] = []
        way = ways[root]
        while way.edge:
            edges.append(way.edge)
            way = ways[way.edge.subject]
        return Path(root, tuple(edges), ways[root].amount, own_word and edges[-1].user_id != self._user_id)
