# SPDX-License-Identifier: MIT
"""
A PostgreSQL of our own, from the machine's binaries: its own folder and port.

It refuses to run as root, so root starts it as nobody. It ends with the thread that
started it, whatever becomes of that.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from .mongod import _free_port, new_folder, wait_until


#: Becomes nobody if it is root, asks Linux to stop it at once (3 is SIGQUIT) when the
#: thread that started it ends (1 is PR_SET_PDEATHSIG; asked for after the change of
#: user, which clears it), then becomes the program.
_START = """
import ctypes, os, sys
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.chdir("/")
ctypes.CDLL(None).prctl(1, 3)
os.execv(sys.argv[1], sys.argv[1:])
"""
_NOBODY = 65534
_USER = "enroll"


def find_binaries() -> tuple[str, str] | None:
    """Return the paths of ``initdb`` and ``postgres``, or None where one is missing."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([*map(str, versions), os.environ.get("PATH", "")])
    initdb, postgres = (
        shutil.which(name, path=path) for name in ("initdb", "postgres")
    )
    return (initdb, postgres) if initdb and postgres else None


class PostgreSQL:
    """One server; what it keeps is gone with it."""

    def __init__(self) -> None:
        self._folder, self._port = new_folder(), _free_port()
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        initdb, postgres = find_binaries()
        data = self._folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
            os.chown(data, _NOBODY, _NOBODY)
        start = [sys.executable, "-I", "-S", "-c", _START]
        with (self._folder / "log").open("ab") as log:
            subprocess.run(
                [
                    *(*start, initdb, "-D", data, "-U", _USER, "-A", "trust"),
                    *("-E", "UTF8", "--locale=C", "--no-sync"),
                ],
                stdout=log,
                stderr=log,
                check=True,
                timeout=60,
            )
            settings = {
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": "",
                "port": self._port,
                "max_connections": 200,
                # What dies here is the process, never the machine.
                "fsync": "off",
                "dynamic_shared_memory_type": "mmap",
            }
            options = [f"--{name}={value}" for name, value in settings.items()]
            self._process = subprocess.Popen(
                [*start, postgres, "-D", data, *options], stdout=log, stderr=log
            )
        wait_until(self._answers, "PostgreSQL does not answer")
        return self

    def __exit__(self, *_) -> None:
        if self._process is not None:
            self._process.send_signal(3)
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415  not where there is no server

        log = (self._folder / "log").read_text()
        assert self._process.poll() is None, log[-3000:]
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self._conninfo("postgres")).close()
            return True
        return False

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self._port} user={_USER} dbname={database}"

    @contextlib.contextmanager
    def database(self):
        """Yield the URL of an empty database, and drop it afterwards."""
        import psycopg  # noqa: PLC0415  not where there is no server

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
            yield f"postgresql+psycopg://{_USER}@127.0.0.1:{self._port}/{name}"
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
