"""How far certifications delegate: depth, amount and scope, for the algorithm that asks for them.

Most certifications are plain, so only the others are read, whatever the size of the table: a scan of it, then rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from trustgraph.scoring.snapshot import Delegation, Ints, Texts

_DELEGATIONS = """SELECT subject_id, endorser_id, user_id_id, depth, amount, regex FROM certification c
    WHERE (depth <> 0 OR amount <> 120 OR regex <> '')
      AND made_at <= {time} AND scope IN ({scopes}) AND NOT weak
      AND (expires_at IS NULL OR expires_at > {time}) AND (revoked_at IS NULL OR revoked_at > {time})
      AND user_id_id NOT IN (SELECT id FROM user_id WHERE revoked_at <= {time})
      AND NOT EXISTS (SELECT 1 FROM certification n
          WHERE n.subject_id = c.subject_id AND n.endorser_id = c.endorser_id AND n.user_id_id = c.user_id_id
            AND n.made_at > c.made_at AND n.made_at <= {time} AND n.scope IN ({scopes}) AND NOT n.weak)
    ORDER BY subject_id, endorser_id, user_id_id"""
_USER_IDS = """SELECT id, identity_id, text FROM user_id
    WHERE (scope IN ({scopes}) OR scope + 4 IN ({scopes})) AND (revoked_at IS NULL OR revoked_at > {time})
    ORDER BY id"""


def read_delegation(connection: sa.Connection, values: Mapping[str, object], position: Ints) -> Delegation:
    """``values``: ``time`` and ``scopes`` of the snapshot. ``position``: that of an identity by its number."""
    certifications = _columns(connection, _DELEGATIONS.format(**values), 6)
    plain = not len(certifications[0])
    user_ids = _columns(connection, _USER_IDS.format(**values), 3) if not plain else [()] * 3
    return Delegation(
        subject=position[_numbers(certifications[0])],
        endorser=position[_numbers(certifications[1])],
        user_id=_numbers(certifications[2]),
        depth=_numbers(certifications[3]),
        amount=_numbers(certifications[4]),
        regexes=_texts(certifications[5]),
        user_id_number=_numbers(user_ids[0]),
        user_id_identity=position[_numbers(user_ids[1])],
        user_id_text=_texts(user_ids[2]),
    )


def _columns(connection: sa.Connection, query: str, columns: int) -> list[tuple[Any, ...]]:
    cursor: Any = connection.exec_driver_sql(query).cursor
    return list(zip(*cursor.fetchall(), strict=True)) or [()] * columns


def _numbers(column: tuple[Any, ...]) -> Ints:
    return np.array(column, dtype=np.int64)


def _texts(column: tuple[Any, ...]) -> Texts:
    texts = np.empty(len(column), dtype=object)
    texts[:] = column
    return texts
