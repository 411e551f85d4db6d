"""What the verifier found out about one message. Facts only; what follows from them is the policy's business."""

from __future__ import annotations

from dataclasses import dataclass

from trustgraph.model import Identity, Result, UnixSeconds


@dataclass(frozen=True, slots=True)
class Rated:
    """An authenticated identity and what its rating is; ``rating`` is None when nothing is known of it.

    ``sample_size`` counts messages, ``endorsers`` operators. ``expires_at`` is when the rating stops to hold.
    """

    identity: Identity
    host: str = ""
    rating: float | None = None
    confidence: float = 0.0
    sample_size: int = 0
    endorsers: int = 0
    expires_at: UnixSeconds = UnixSeconds(0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that :func:`trustgraph.policy.decide.decide` looks at.

    ``result`` and ``reason`` are those of the header signature that counts. ``by_client``: it was made, or claims to
    have been made, by the connecting host itself. ``responsible`` is the host that answers for the message, there only
    for ``pass``. ``seen_to_sign``: the connecting host has signed its mail before. ``others`` are the message's
    other authenticated identities. ``headers_only``: the signature leaves out the body. ``replayed``: it was delivered
    to more recipients than a signature may be. ``allowance_left``: a newcomer may still be let in today.
    ``broken`` is not empty when the evidence could not be gathered, and then nothing else is looked at.
    ``client_host`` is confirmed by address (FCrDNS, or a HELO that resolves to the client), else empty.
    """

    result: Result
    reason: str = ""
    by_client: bool = False
    responsible: Rated | None = None
    seen_to_sign: bool = False
    others: tuple[Rated, ...] = ()
    headers_only: bool = False
    replayed: bool = False
    allowance_left: bool = False
    broken: str = ""
    client_host: str = ""
    client_ip: str = ""


KEY_ABSENT = "key-absent"
