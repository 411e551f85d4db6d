"""What a subscriber signed to show that he holds a key: which tokens are in it, and whose signatures hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trustgraph.errors import BadInput
from trustgraph.headersig.message import with_network_line_ends
from trustgraph.mailinglist.clearsigned import read_clear_signed
from trustgraph.mailinglist.keystate import MAX_SKEW_SECONDS
from trustgraph.mailinglist.model import Binding, Kind, Post, PostFinding, SignedContent
from trustgraph.mailinglist.reading import read_post
from trustgraph.mailinglist.replies import MAX_SIGNED_OCTETS, signed_text
from trustgraph.mailinglist.token import CONSENT, LIFETIME_SECONDS, Token, consents, read_tokens
from trustgraph.model import Result, UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.posts import judge_post
from trustgraph.services.list_stash import Stash
from trustgraph.store import list_keys

_BARE = b"-----BEGIN PGP SIGNED MESSAGE-----"


@dataclass(frozen=True, slots=True)
class Proof:
    """The tokens for this list in a signed text, and the primary fingerprints of all who signed it, each verified.

    ``consents``: it says that a key is to be replaced.
    """

    tokens: tuple[Token, ...]
    signers: frozenset[str]
    consents: bool

    def signers_for(self, token: Token) -> frozenset[str]:
        """Whose signatures speak for this token: those of other keys only if the text says what they are for.

        Raises :class:`BadInput` when none does.
        """
        signers = self.signers if self.consents else self.signers & {token.fingerprint}
        if not signers:
            raise BadInput(
                f"a signature by another key than {token.fingerprint} counts only if this line, not quoted, is in what "
                f"is signed: {CONSENT}"
            )
        return signers


def read_proof(stash: Stash, octets: bytes, now: UnixSeconds) -> Proof:
    """Read and verify a signed message, or clear-signed text. Raises :class:`BadInput` saying what is wrong with it.

    Every signature has to hold, and to have been made after the token: a key that has ended since can be made to sign
    with an earlier date.
    """
    content = _signed_content(octets)
    tokens = _tokens(stash, content)
    post = Post("", (content,), "", "", "", automatic=False)
    findings = judge_post(post, (), b"", lambda name: _certificates(stash, name, now), now)
    if not findings:
        raise BadInput("there is no signature")
    since = max(token.until for token in tokens) - LIFETIME_SECONDS - MAX_SKEW_SECONDS
    for finding in findings:
        _check(finding, UnixSeconds(since))
    signers = frozenset(finding.fingerprint for finding in findings)
    return Proof(tokens, signers, consents(signed_text(content)))


def _signed_content(octets: bytes) -> SignedContent:
    if len(octets) > 4 * MAX_SIGNED_OCTETS:
        raise BadInput(f"a message of {len(octets):,} octets: at most {4 * MAX_SIGNED_OCTETS:,} are read here")
    if octets.lstrip().startswith(_BARE):
        text, signature = read_clear_signed(with_network_line_ends(octets))
        return SignedContent(Kind.INLINE, text, signature, Binding())
    try:
        post = read_post(octets)
    except BadInput as error:
        raise BadInput(f"expected a signed message or clear-signed text: {error}") from None
    if post.problem:
        raise BadInput(f"the message cannot be judged ({post.problem}): send it as plain text, signed as a whole")
    signed = [content for content in post.contents if content.kind is not Kind.HEADER]
    if not signed:
        raise BadInput("the message is not signed: sign the letter's lines with the key that you deposited")
    return signed[0]


def _tokens(stash: Stash, content: SignedContent) -> tuple[Token, ...]:
    found = read_tokens(signed_text(content))
    tokens = tuple(token for token in found if token.list_address == stash.list.address)
    if not tokens:
        other = " (those for another list are)" if found else ""
        raise BadInput(f"the letter's lines for {stash.list.address} are not in what is signed{other}: quote them all")
    return tokens


def _certificates(stash: Stash, name: str, now: UnixSeconds) -> Sequence[HostCertificate]:
    keys = list_keys.keys_named(stash.keep, name, provisional=True)
    by_fingerprint = {key.fingerprint: key.certificate for key in keys}
    return [read_host_certificate([octets], fingerprint, now) for fingerprint, octets in by_fingerprint.items()]


def _check(finding: PostFinding, since: UnixSeconds) -> None:
    by = finding.fingerprint or "nobody known"
    if finding.result is not Result.PASS:
        raise BadInput(f"a signature by {by} does not count: {finding.reason}")
    if finding.signed_at is None or finding.signed_at < since:
        raise BadInput(f"the signature by {by} says that it is older than the letter: is the clock right?")
