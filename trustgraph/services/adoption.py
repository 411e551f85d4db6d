"""How much the scheme helps when few hosts sign: the same simulated internet at several shares of signing hosts.

Each world is written, ingested and replayed as the others are; what differs is how many honest hosts have a host key.
Beside each stands the same mail without its header signatures, which is what a site knows from DKIM logs alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from trustgraph.lab.world import Kind, Parameters
from trustgraph.lab.writing import TRUTH, WrittenWorld, simulate
from trustgraph.model import SECONDS_PER_DAY, IdentityKind, Result
from trustgraph.policy.replay import Played
from trustgraph.scoring.algorithms import Scores
from trustgraph.scoring.snapshot import Flags
from trustgraph.services.demo import Truth, read_truth
from trustgraph.services.evaluation import ingest_world
from trustgraph.services.notebook import true_spam
from trustgraph.services.replay import Past, play, principal, read_past, rules_of
from trustgraph.services.tuning import kinds_of, untrusted
from trustgraph.settings import Settings, load_settings
from trustgraph.store import open_store

#: A world that is made in seconds, with relays, a ring and a traitor in it.
WORLD = Parameters(
    hosts=60, relays=10, ring=4, traitors=1, newcomers=3, impersonators=0, days=30, history_days=335, messages=9_000
)
#: What a site goes by.
SIGNATURES, DKIM_ALONE = "signatures and DKIM", "DKIM alone"


def adoption(
    shares: Sequence[float], world: Parameters = WORLD, *, every_seconds: int = SECONDS_PER_DAY
) -> pd.DataFrame:
    """:func:`both_ways` for each share of honest hosts that sign (0.01 to 1), good and spam being the truth.

    The share stands in the column ``signing``, in percent.

    Raises :class:`BadInput` for a share out of bounds.
    """
    tables = []
    for share in shares:
        with TemporaryDirectory(prefix="trustgraph-adoption-") as directory:
            written = simulate("baseline", replace(world, adoption=share), Path(directory))
            settings = load_settings(written.directory / "trustgraph.toml", environment={})
            past, hosts = _past(written, settings), read_truth(written.directory / TRUTH)
            spam = true_spam(written.directory, past)
        table = both_ways(past, settings, spam, hosts, every_seconds=every_seconds)
        table.insert(0, "signing", 100.0 * share)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def both_ways(
    past: Past,
    settings: Settings,
    spam: Sequence[bool] | None = None,
    hosts: Sequence[Truth] = (),
    *,
    every_seconds: int = SECONDS_PER_DAY,
) -> pd.DataFrame:
    """Two rows: what the rules do ``by`` all there is, and by DKIM alone. ``spam`` is as in :mod:`tuning`.

    Other columns, in percent. Of all spam ``spam_refused``, ``spam_untagged`` (let in without a tag); of all good mail
    ``good_on_signature`` (accepted for the standing of its signer), ``good_untagged``, ``good_refused``; with the truth
    about ``hosts``: ``hosts_standing`` of the honest ones, ``bad_standing`` of those to be kept out, at the end.
    """
    kinds = kinds_of(past, spam)
    rows = []
    for by, one in ((SIGNATURES, past), (DKIM_ALONE, unsigned(past))):
        last: list[Scores] = []
        played = play(
            *(one, rules_of(settings)),
            every_seconds=every_seconds,
            watch=lambda _, scores, last=last: last.append(scores),  # type: ignore[misc]
        )
        standing = _standing(one, last[-1], settings.policy.accept, signed=by == SIGNATURES)
        rows.append({"by": by, **_mail(played, kinds == "spam", kinds == "good"), **_hosts(hosts, standing)})
    return pd.DataFrame(rows)


def signing(past: Past) -> dict[str, float]:
    """Where a site is: how many operators it had authenticated mail from, how many of these sign, and how much mail."""
    operators: dict[str, bool] = {}
    for message in past.messages:
        position = principal(message)
        if position >= 0:
            name = str(past.record.identity_operator[position]) or str(past.record.identity_name[position])
            operators[name] = operators.get(name, False) or message.signer >= 0
    signed = sum(message.signer >= 0 for message in past.messages)
    return {
        "operators": len(operators),
        "operators that sign, %": 100.0 * sum(operators.values()) / max(len(operators), 1),
        "messages": len(past.messages),
        "messages signed, %": 100.0 * signed / max(len(past.messages), 1),
    }


def unsigned(past: Past) -> Past:
    """The same mail, had nobody signed its header."""
    return replace(past, messages=[replace(message, signer=-1, result=Result.NONE) for message in past.messages])


def _past(written: WrittenWorld, settings: Settings) -> Past:
    store = open_store(f"sqlite:///{written.directory}/trustgraph.db", create=True)
    try:
        ingest_world(store, settings, written)
        return read_past(store, settings)
    finally:
        store.close()


def _mail(played: Sequence[Played], spam: Flags, good: Flags) -> dict[str, float]:
    refused = np.array([one.refused for one in played], dtype=np.bool_)
    plain = np.array([one.let_in and not untrusted(one.last) for one in played], dtype=np.bool_)
    signed = np.array([one.let_in and one.last.reason == "accepted" for one in played], dtype=np.bool_)
    return {
        "spam_refused": _percent(refused, spam),
        "spam_untagged": _percent(plain, spam),
        "good_on_signature": _percent(signed, good),
        "good_untagged": _percent(plain, good),
        "good_refused": _percent(refused, good),
    }


def _percent(part: Flags, whole: Flags) -> float:
    return 100.0 * float((part & whole).sum()) / max(int(whole.sum()), 1)


def _standing(past: Past, scores: Scores, accept: float, *, signed: bool) -> set[str]:
    """The identities that stand; without signatures, those that a DKIM log knows."""
    names = (str(past.record.identity_name[i]) for i in np.flatnonzero(scores.rating >= accept))
    return {name for name in names if signed or not name.startswith(f"{IdentityKind.OPENPGP}:")}


def _hosts(hosts: Sequence[Truth], standing: Collection[str]) -> dict[str, float]:
    if not hosts:
        return {}
    stands = np.array([not host.names.isdisjoint(standing) for host in hosts], dtype=np.bool_)
    honest = np.array([host.kind == Kind.HONEST for host in hosts], dtype=np.bool_)
    bad = np.array([Kind(host.kind).is_bad for host in hosts], dtype=np.bool_)
    return {"hosts_standing": _percent(stands, honest), "bad_standing": _percent(stands, bad)}
