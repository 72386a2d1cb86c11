"""Signals that were decided long ago are forgotten: by the worker, and by nobody else."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Expand only."""
    op.execute("create index signals_decided on orders.signals (decided_at)")
    op.execute("grant delete on orders.signals to orders_worker")
