"""A PostgreSQL server of the tests' own: as an ordinary user, on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def _programs() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []
    return folders[-1] if folders else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[tuple[str, Callable[[str], str]]]:
    """Return how to connect to a server, and what runs a statement on it."""
    where = _programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed")
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    if user and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and runuser is not installed")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # pytest's own folders are closed to other users
        home = Path(folder)
        if user:
            shutil.chown(home, "nobody")

        def run(program: str, *arguments: str, quiet: bool = False, text: str | None = None) -> str:
            pipe = subprocess.DEVNULL if quiet else subprocess.PIPE
            call = [*user, str(where / program), *arguments]
            return subprocess.run(call, check=True, cwd=home, stdout=pipe, stderr=pipe, text=True, input=text).stdout

        run("initdb", "-D", f"{home}/data", "-A", "trust", "-U", "me")
        options = f"-c listen_addresses='' -c unix_socket_directories={home} -c timezone=UTC"
        # A server that keeps our pipe open would keep us waiting.
        run("pg_ctl", "-D", f"{home}/data", "-o", options, "-w", "-l", f"{home}/log", "start", quiet=True)
        known = ["-h", str(home), "-U", "me", "-d", "postgres", "-At", "-v", "ON_ERROR_STOP=1"]

        def execute(statement: str) -> str:
            if len(statement) < 100_000:
                return run("psql", *known, "-c", statement)
            return run("psql", *known, "-q", "-f", "-", text=statement)  # longer than an argument may be

        try:
            yield f"host={home} user=me dbname=postgres", execute
        finally:
            run("pg_ctl", "-D", f"{home}/data", "-m", "immediate", "stop", quiet=True)


@pytest.fixture
def psql(postgres: tuple[str, Callable[[str], str]]) -> Callable[[str], str]:
    """Return what runs a statement on the server."""
    return postgres[1]
