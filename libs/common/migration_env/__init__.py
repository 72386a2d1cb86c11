"""The one Alembic environment of all chains."""
