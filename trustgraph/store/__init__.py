"""2 keep: what was ingested and what was scored, on SQLite or PostgreSQL.

Writers take model objects, readers give model objects and arrays, never rows. Whatever is written is written in one
transaction: the raw thing, what is folded from it, and the record of where it came from.
"""

from trustgraph.store.engine import Store, open_store, schema_revision, upgrade

__all__ = ["Store", "open_store", "schema_revision", "upgrade"]
