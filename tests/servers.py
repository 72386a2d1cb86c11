"""PostgreSQL and NATS for tests: embedded, or in containers when BOOKEND_TEST_SERVERS=containers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import EmbeddedPostgres
from deploy.nats.config import Permissions
from tests.containers.servers import ContainerNats, ContainerPostgres

CHOICE = "BOOKEND_TEST_SERVERS"
CONTAINERS = "containers"


def new_postgres(folder: Path) -> EmbeddedPostgres:
    """Return a server for throw-away data, not started yet."""
    kind = ContainerPostgres if os.environ.get(CHOICE) == CONTAINERS else EmbeddedPostgres
    return kind(folder, unsafe_fast=True)


def new_nats(folder: Path, services: Mapping[str, tuple[str, Permissions]], issuer: str | None = None) -> EmbeddedNats:
    """Return a server for throw-away data with these logins, not started yet."""
    kind = ContainerNats if os.environ.get(CHOICE) == CONTAINERS else EmbeddedNats
    return kind(folder, services=services, issuer=issuer, unsafe_fast=True)
