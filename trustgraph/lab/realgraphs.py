"""Real trust graphs, read from tables of certifications or ratings: people, but they vouch as hosts would.

None is shipped with the project: an operator of the lab names the directory that has them. What is read is who ever
vouched for whom. Expiry is left out, since these people renew as seldom as they sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trustgraph.errors import BadInput, NoInput
from trustgraph.scoring.snapshot import Flags, Ints


@dataclass(frozen=True, slots=True)
class Graph:
    """Who endorses whom: distinct pairs of positions among ``size`` members, none of themselves, sorted."""

    size: int
    endorser: Ints
    subject: Ints

    @property
    def endorsements_of(self) -> Ints:
        """How many endorse each member."""
        return np.bincount(self.subject, minlength=self.size)

    @property
    def endorsements_by(self) -> Ints:
        """How many each member endorses."""
        return np.bincount(self.endorser, minlength=self.size)


def read_certifications(path: Path) -> Graph:
    """OpenPGP certifications (0x10 to 0x13) among the keys of one keyring; members in order of key ID.

    Columns ``signer_keyid``, ``subject_keyid``, ``sigtype``, ``signer_in_ring``. Raises :class:`NoInput` and
    :class:`BadInput`.
    """
    table = _read(path, header=0)
    columns = {"signer_keyid", "subject_keyid", "sigtype", "signer_in_ring"}
    if missing := columns - set(table.columns):
        raise BadInput(f"{path}: it has no column {', '.join(sorted(missing))}")
    kept = table[table.sigtype.isin(["0x10", "0x11", "0x12", "0x13"]) & (table.signer_in_ring == "1")]
    return _graph_of(kept.signer_keyid, kept.subject_keyid)


def read_trust_ratings(path: Path) -> Graph:
    """Positive ratings as endorsements. Columns without a head: rater, ratee, rating from -10 to 10, time.

    Raises :class:`NoInput` and :class:`BadInput`.
    """
    table = _read(path, header=None)
    if len(table.columns) < 3:
        raise BadInput(f"{path}: expected rater, ratee, rating and time, found {len(table.columns)} columns")
    rating = pd.to_numeric(table[2], errors="coerce")
    if rating.isna().any():
        raise BadInput(f"{path}: row {int(np.argmax(rating.isna())) + 1} has no number for a rating")
    return _graph_of(table[0][rating > 0], table[1][rating > 0])


#: By name: the file in the directory of graphs, and how it is read.
GRAPHS: dict[str, tuple[str, Callable[[Path], Graph]]] = {
    "debian": ("debian_wot.csv", read_certifications),
    "archlinux": ("archlinux_wot.csv", read_certifications),
    "bitcoin-alpha": ("alpha_network.csv", read_trust_ratings),
}


def _read(path: Path, header: int | None) -> pd.DataFrame:
    try:
        return pd.read_csv(path, header=header, dtype=str, keep_default_na=False)
    except OSError as error:
        raise NoInput(f"{path}: {error.strerror}") from None
    except ValueError as error:  # pandas' parser errors, and what is not UTF-8
        raise BadInput(f"{path}: {error}") from None


def _graph_of(endorser: pd.Series[str], subject: pd.Series[str]) -> Graph:
    _, codes = np.unique(np.concatenate([endorser, subject]).astype(str), return_inverse=True)
    pairs = np.stack([codes[: len(endorser)], codes[len(endorser) :]], axis=1)
    others: Flags = pairs[:, 0] != pairs[:, 1]
    distinct = np.unique(pairs[others], axis=0)
    # Whoever is named only by vouching for itself is no member.
    members, positions = np.unique(distinct, return_inverse=True)
    positions = positions.reshape(-1, 2)
    return Graph(len(members), positions[:, 0], positions[:, 1])
