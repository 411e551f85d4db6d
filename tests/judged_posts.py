"""What the code under test says of a post, by the certificates of a ring, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from tests.signed_posts import NOW
from trustgraph.headersig.message import split_message, with_network_line_ends
from trustgraph.mailinglist.model import Post, PostFinding
from trustgraph.mailinglist.reading import read_post
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.deposits import lookup_names, subscriber_certificate
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.posts import judge_post


class Ring:
    """Certificates by all names that a signature may have for them."""

    def __init__(self, *publics: bytes, now: int = NOW) -> None:
        self._by_name: dict[str, list[HostCertificate]] = {}
        self._now = UnixSeconds(now)
        for public in publics:
            self.add(public)

    def add(self, public: bytes, found_by: bytes = b"") -> None:
        """``found_by``: under the names of this certificate instead of its own."""
        certificate = subscriber_certificate(public, self._now)
        for name in lookup_names(subscriber_certificate(found_by or public, self._now)):
            known = self._by_name.setdefault(name, [])
            if certificate not in known:
                known.append(certificate)

    def candidates(self, name: str) -> Sequence[HostCertificate]:
        return self._by_name.get(name, ())

    def judge(self, octets: bytes, now: int | None = None) -> tuple[Post, list[PostFinding]]:
        post = read_post(octets)
        fields, body = split_message(with_network_line_ends(octets))
        return post, judge_post(post, fields, body, self.candidates, UnixSeconds(self._now if now is None else now))

    def said(self, octets: bytes, now: int | None = None) -> str:
        """``pass``; or the problem; or ``unsigned``; or what each signature came to, as ``result reason``."""
        post, findings = self.judge(octets, now)
        if post.problem:
            return post.problem
        return ", ".join(f"{one.result} {one.reason}".rstrip() for one in findings) or "unsigned"
