"""Run a chain on the connection and in the schema that `libs.common.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from libs.common.migrate import VERSION_TABLE
from libs.common.roles import OWNER

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]

context.configure(
    connection=connection,
    version_table=VERSION_TABLE,
    version_table_schema=schema,
    include_schemas=True,
    transaction_per_migration=True,
)
# For the session: each migration is a transaction of its own. Names without a schema are the chain's.
connection.execute(text(f"set role {OWNER}"))
connection.execute(text(f"set search_path = {schema}, pg_catalog"))
connection.commit()
with context.begin_transaction():
    context.run_migrations()
connection.execute(text(f"grant select on {schema}.{VERSION_TABLE} to {schema}_worker"))
connection.commit()
