"""Alembic environment of the books database: runs on the connection that vault.storage.migrate hands over."""

from alembic import context

from vault.storage import audit_tables, book_tables, disclosure_tables, service_tables
from vault.storage.base import Base

TABLES = (audit_tables, book_tables, disclosure_tables, service_tables)  # imported so that the metadata knows them

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
