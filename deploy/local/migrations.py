"""Runs the migrations when the checkout has others than those the cluster has seen."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.local.keyring import Keyring
from deploy.local.layout import PROJECT, Layout, digest
from deploy.local.problem import StackProblem
from deploy.local.services import migration_environment, python


def migrate_if_needed(layout: Layout, keyring: Keyring, database_url: str) -> bool:
    """Bring the database to this checkout's schema; returns whether anything ran. Idempotent.

    Raises: StackProblem with the migration's own words.
    """
    marker = layout.postgres_dir / "migrated"
    wanted = digest(_sources(), base=PROJECT)
    if marker.exists() and marker.read_text() == wanted:
        return False
    ran = subprocess.run(
        [str(python()), "-m", "libs.common.migrate"],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=migration_environment(keyring, database_url),
    )
    log = layout.log_of("migrate")
    log.write_text(ran.stdout + ran.stderr)
    if ran.returncode != 0:
        words = (ran.stderr or ran.stdout).strip().splitlines()
        raise StackProblem("migrations", words[-1] if words else f"exit code {ran.returncode}", f"read {log}")
    marker.write_text(wanted)
    return True


def _sources() -> list[Path]:
    """Everything whose change may mean another schema."""
    migrations = [*PROJECT.glob("services/*/migrations/**/*"), *PROJECT.glob("libs/common/migrations/**/*")]
    files = [*migrations, *PROJECT.glob("libs/common/migrate*.py")]
    files += [*PROJECT.glob("libs/common/roles*.py"), *PROJECT.glob("libs/common/ddl*.py")]
    return sorted({file for file in files if file.is_file() and file.suffix in {".py", ".sql", ".ini", ".mako"}})
