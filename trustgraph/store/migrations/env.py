"""Alembic's entry point: migrations run on the connection that :mod:`trustgraph.store.engine` hands over."""

from alembic import context

from trustgraph.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
