"""The messages that one observer has on record, put together from their observations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from trustgraph.model import Identity, IdentityKind, Outcome, Result, UnixSeconds
from trustgraph.scoring.record import Record

_RESULTS = list(Result)
_OUTCOMES = list(Outcome)
_CLIENTS = (f"{IdentityKind.HELO}:", f"{IdentityKind.IP}:")


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message as it is on record; identities are positions in the record.

    ``message`` is the digest of what names it. ``signer`` and ``result``: its header signature, -1 and ``none``
    without one; of several one that passes. ``others``: its other identities that passed. ``sender`` is whom it came
    from as far as that is on record: the client by name or address, else what passed, else whatever it showed; or -1.
    """

    at: UnixSeconds
    message: int
    signer: int
    result: Result
    others: tuple[int, ...]
    outcome: Outcome
    sender: int = -1


def recorded_messages(
    record: Record, observer: Identity, start: UnixSeconds, until: UnixSeconds
) -> list[RecordedMessage]:
    """What ``observer`` received from ``start`` to ``until``, in order of time; empty if it has nothing on record."""
    position = int(np.searchsorted(record.identity_name, observer))
    if position == len(record.identity_name) or record.identity_name[position] != observer:
        return []
    seen = np.flatnonzero((record.seen_observer == position) & (record.seen_at >= start) & (record.seen_at < until))
    at, message = record.seen_at[seen], record.seen_message[seen]
    first = np.ones(len(seen), dtype=np.bool_)
    first[1:] = (at[1:] != at[:-1]) | (message[1:] != message[:-1])
    bounds = [*np.flatnonzero(first).tolist(), len(seen)]
    is_key = np.array([name.startswith(f"{IdentityKind.OPENPGP}:") for name in record.identity_name], dtype=np.bool_)
    is_client = np.array([name.startswith(_CLIENTS) for name in record.identity_name], dtype=np.bool_)
    rows = list(
        zip(
            record.seen_subject[seen].tolist(),
            record.seen_result[seen].tolist(),
            record.seen_outcome[seen].tolist(),
            is_key[record.seen_subject[seen]].tolist(),
            is_client[record.seen_subject[seen]].tolist(),
            strict=True,
        )
    )
    return [
        _message(UnixSeconds(int(at[start])), int(message[start]), rows[start:end]) for start, end in pairwise(bounds)
    ]


def _message(at: UnixSeconds, message: int, rows: list[tuple[int, int, int, bool, bool]]) -> RecordedMessage:
    signatures = [(identity, _RESULTS[result]) for identity, result, _, is_key, _ in rows if is_key]
    passing = [one for one in signatures if one[1] is Result.PASS]
    signer, result = (passing or signatures or [(-1, Result.NONE)])[0]
    others = tuple([identity for identity, code, _, is_key, _ in rows if not is_key and _RESULTS[code] is Result.PASS])
    outcomes = {_OUTCOMES[outcome] for _, _, outcome, _, _ in rows}
    clients = [identity for identity, _, _, _, is_client in rows if is_client]
    sender = next(iter((*clients, *others)), rows[0][0])
    return RecordedMessage(at, message, signer, result, others, _worst(outcomes), sender)


def _worst(outcomes: set[Outcome]) -> Outcome:
    for outcome in (Outcome.MALWARE, Outcome.SPAM, Outcome.GOOD):
        if outcome in outcomes:
            return outcome
    return Outcome.UNKNOWN
