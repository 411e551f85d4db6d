"""Trying a changed policy on the recorded past of a store: for ``policy replay``, notebooks and the lab."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trustgraph.errors import BadInput, ConfigurationError, NoInput
from trustgraph.model import SECONDS_PER_DAY, Identity, UnixSeconds, to_rfc3339
from trustgraph.policy.recorded import RecordedMessage, recorded_messages
from trustgraph.policy.replay import Played, Rules, Watch, replay
from trustgraph.scoring.record import Record
from trustgraph.scoring.registry import algorithm_named
from trustgraph.services.gate import policy_of
from trustgraph.services.scoring import anchors_of, parameters_of
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.certificates import scopes_in_use
from trustgraph.store.observations import newest_day
from trustgraph.store.record import oldest_observation, read_record

DEFAULT_DAYS = 30
DEFAULT_EVERY_SECONDS = 6 * 3_600


@dataclass(frozen=True, slots=True)
class Past:
    """What one site has on record between two moments: everything scoring knows, and the messages it received."""

    record: Record
    messages: Sequence[RecordedMessage]
    start: UnixSeconds
    until: UnixSeconds


def read_past(
    store: Store, settings: Settings, start: UnixSeconds | None = None, until: UnixSeconds | None = None
) -> Past:
    """The past of ``site.hostname``; by default the last 30 days that there are observations of.

    Raises :class:`ConfigurationError` without a host name, :class:`BadInput` when ``start`` is not before ``until``,
    :class:`NoInput` when there are no messages then, or they are not kept any more.
    """
    hostname = settings.site.hostname
    if not hostname:
        raise ConfigurationError("site.hostname: expected this host's FQDN, whose messages are to be replayed")
    if until is None:
        until = UnixSeconds((newest_day(store) + 1) * SECONDS_PER_DAY)
    if start is None:
        start = UnixSeconds(max(until - DEFAULT_DAYS * SECONDS_PER_DAY, oldest_observation(store)))
    if start >= until:
        raise BadInput(f"the time to replay ends ({to_rfc3339(until)}) before it begins ({to_rfc3339(start)})")
    scopes, _ = scopes_in_use(store, settings.scoring.user_ids, require_approval=settings.policy.require_approval)
    record = read_record(store, scopes, start, until)
    messages = recorded_messages(record, Identity.helo(hostname), start, until)
    if not messages:
        raise NoInput(f"no message that {hostname} (site.hostname) received in that time is in the store")
    return Past(record, messages, start, until)


def rules_of(settings: Settings) -> Rules:
    """What the settings say. Raises :class:`UsageError` for an unknown algorithm."""
    return Rules(
        algorithm=algorithm_named(settings.scoring.algorithm),
        anchors=anchors_of(settings),
        parameters=parameters_of(settings),
        policy=policy_of(settings),
    )


def play(
    past: Past, rules: Rules, *, every_seconds: int = DEFAULT_EVERY_SECONDS, watch: Watch | None = None
) -> list[Played]:
    """What the rules would have done to each message of the past, rating anew every ``every_seconds``."""
    return replay(
        *(past.record, past.messages, rules),
        start=past.start,
        until=past.until,
        every_seconds=every_seconds,
        watch=watch,
    )


def fate_of(played: Played) -> str:
    """What became of a message in one word: delivered, delayed, refused or waiting."""
    if played.settled_at is None:
        return "waiting"
    if not played.let_in:
        return "refused"
    return "delayed" if played.waited_seconds else "delivered"


@dataclass(frozen=True, slots=True)
class Difference:
    """One message that a changed policy treats otherwise."""

    before: Played
    after: Played
    identity: str
    host: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two policies on the same messages.

    ``fates``: how many messages of each outcome had each fate (before, after). ``differences``: messages whose fate or
    reason changed, in order of time.
    """

    messages: int
    fates: Counter[tuple[str, str, str]]
    differences: list[Difference]


def compare(past: Past, before: Sequence[Played], after: Sequence[Played]) -> Comparison:
    """What changes, message by message."""
    fates: Counter[tuple[str, str, str]] = Counter()
    differences = []
    for old, new in zip(before, after, strict=True):
        fates[old.message.outcome.value, fate_of(old), fate_of(new)] += 1
        if (fate_of(old), old.last.reason) != (fate_of(new), new.last.reason):
            position = principal(old.message)
            name, host = ("", "") if position < 0 else _named(past.record, position)
            differences.append(Difference(old, new, name, host))
    return Comparison(len(before), fates, differences)


def principal(message: RecordedMessage) -> int:
    """The identity a message is known by: its signer, else its first other identity, else -1."""
    return message.signer if message.signer >= 0 else next(iter(message.others), -1)


def _named(record: Record, position: int) -> tuple[str, str]:
    return str(record.identity_name[position]), str(record.identity_host[position])


def message_table(past: Past, played: Sequence[Played]) -> pd.DataFrame:
    """One row a message, for notebooks.

    ``at`` (UTC), ``message`` (hex digest), ``identity``, ``host``, ``operator``, ``result``, ``outcome``, ``rating``
    (NaN without one), ``standing``, ``first`` and ``last`` verdict, ``reason`` of the last, ``fate``, ``waited_hours``.
    """
    record = past.record
    where = np.array([principal(one.message) for one in played], dtype=np.int64)
    known = where >= 0
    names = {
        column: np.where(known, values[where], "") if len(values) else np.array([], dtype=object)
        for column, values in (
            ("identity", record.identity_name),
            ("host", record.identity_host),
            ("operator", record.identity_operator),
        )
    }
    return pd.DataFrame(
        {
            "at": pd.to_datetime([int(one.message.at) for one in played], unit="s", utc=True),
            "message": [digest_text(one.message) for one in played],
            **names,
            "result": [one.message.result.value for one in played],
            "outcome": [one.message.outcome.value for one in played],
            "rating": np.array([np.nan if one.rating is None else one.rating for one in played]),
            "standing": ["" if one.last.standing is None else one.last.standing.value for one in played],
            "first": [one.first.verdict.value for one in played],
            "last": [one.last.verdict.value for one in played],
            "reason": [one.last.reason for one in played],
            "fate": [fate_of(one) for one in played],
            "waited_hours": [one.waited_seconds / 3_600 for one in played],
        }
    )


def digest_text(message: RecordedMessage) -> str:
    """The digest that a message is stored under, in hex; :func:`message_digest` makes it from a Message-ID."""
    return f"{message.message & 0xFFFF_FFFF_FFFF_FFFF:016x}"
