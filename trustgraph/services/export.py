"""``export``: endorsements, history and ratings as CSV or Parquet, in the columns that ``ingest table`` reads."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from trustgraph.errors import NoInput, UsageError
from trustgraph.model import SECONDS_PER_DAY
from trustgraph.scoring.standing import standing_of
from trustgraph.services.scoring import require_generation
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.certificates import scopes_in_use
from trustgraph.store.generations import read_ratings
from trustgraph.store.tables import read_endorsements, read_history

KINDS = ("endorsements", "history", "ratings")


def export(store: Store, settings: Settings, kind: str, path: Path) -> int:
    """Write one table; the file appears whole or not at all. Returns the number of rows.

    Raises :class:`UsageError` for a kind or file ending that there is not, :class:`NoInput` when it cannot be written.
    """
    if kind not in KINDS:
        raise UsageError(f"cannot export {kind!r}: expected {', '.join(KINDS)}")
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{path}: expected a name that ends in .csv or .parquet")
    table = {"endorsements": _endorsements, "history": _history, "ratings": _ratings}[kind]
    frame = table(store, settings)
    temporary = path.with_name(path.name + ".part")
    try:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
        os.replace(temporary, path)
    except OSError as error:
        raise NoInput(f"{path}: cannot be written: {error.strerror or error}") from None
    return len(frame)


def _endorsements(store: Store, settings: Settings) -> pd.DataFrame:
    scopes, _ = scopes_in_use(store, settings.scoring.user_ids, require_approval=settings.policy.require_approval)
    frame = pd.DataFrame(
        read_endorsements(store, scopes), columns=["endorser", "subject", "made_at", "expires_at", "amount", "depth"]
    )
    for column in ("made_at", "expires_at"):
        frame[column] = _times(frame[column])
    return frame


def _history(store: Store, _settings: Settings) -> pd.DataFrame:
    frame = pd.DataFrame(read_history(store), columns=["observer", "subject", "day", "good", "spam"])
    frame["day"] = _times(frame["day"] * SECONDS_PER_DAY).str[:10]
    return frame


def _ratings(store: Store, settings: Settings) -> pd.DataFrame:
    policy = settings.policy
    rows = [
        (
            *(str(r.identity), r.host, r.rating, r.confidence, r.sample_size, r.endorsers),
            standing_of(r.rating, r.sample_size, r.endorsers, accept=policy.accept, refuse=policy.refuse).value,
        )
        for r in read_ratings(store, require_generation(store))
    ]
    columns = ["identity", "host", "rating", "confidence", "sample_size", "endorsers", "standing"]
    return pd.DataFrame(rows, columns=columns)


def _times(seconds: pd.Series) -> pd.Series:
    """Unix seconds as RFC 3339 text; missing ones stay missing."""
    moments = pd.to_datetime(seconds.astype("Int64"), unit="s", utc=True)
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
