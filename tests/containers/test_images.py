"""The integration tests once more, on the images of PostgreSQL and NATS that compose runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from deploy.local.nats import program as nats_server
from deploy.local.postgres import program
from tests.containers.compose import ROOT, image_of
from tests.containers.engine import reason_against
from tests.servers import CHOICE, CONTAINERS

IMAGES = (image_of("postgres"), image_of("nats"))

PLACES = (
    *(f"tests/integration/{part}" for part in ("chassis", "orders", "monitor", "pricing", "forensics")),
    "tests/architecture/test_database.py",
)


@pytest.mark.containers
def test_the_integration_tests_pass_on_the_images_of_compose() -> None:
    reason = reason_against(IMAGES)
    if reason is not None:
        pytest.skip(reason)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not faults", *PLACES],
        check=False,
        cwd=ROOT,
        env={**os.environ, CHOICE: CONTAINERS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-8000:]
    assert " passed" in ran.stdout


def test_the_images_are_of_the_versions_that_every_test_run_uses() -> None:
    server = subprocess.run([program("postgres"), "--version"], check=True, capture_output=True, text=True).stdout
    assert image_of("postgres") == f"postgres:{server.split()[2].partition('.')[0]}"
    said = subprocess.run([nats_server(), "--version"], check=True, capture_output=True, text=True).stdout
    major, minor = said.strip().rpartition("v")[2].split(".")[:2]
    assert image_of("nats") == f"nats:{major}.{minor}-alpine"
