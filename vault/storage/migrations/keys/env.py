"""Alembic environment of the keys database: runs on the connection that vault.storage.migrate hands over."""

from alembic import context

from vault.storage import key_tables
from vault.storage.base import KeysBase

TABLES = (key_tables,)  # imported so that the metadata knows them

context.configure(connection=context.config.attributes["connection"], target_metadata=KeysBase.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
