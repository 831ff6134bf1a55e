# SPDX-License-Identifier: MIT
"""
A process that has imported everything and forks workers, so that each begins at once.

Starting Python anew for each of a thousand workers would take longer than their work.
Each line on stdin is a command of ``frappe-enroll``, answered by the child's pid, or a
pid to be killed. A child that ended keeps its pid until then.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import shlex
import signal
import subprocess
import sys
from typing import NoReturn

from .mongod import DIE_WITH_PARENT


#: What a worker loads when it opens its backends.
_LOADED = (
    "frappe_enroll_cli._internal.worker",
    "frappe_enroll_lms.frappe",
    "frappe_enroll_mongo.storage",
    "frappe_enroll_sql.storage",
    "frappe_enroll_stripe.gateway",
)
_DIE_WITH_PARENT = 1


class Nursery:
    """Forks commands; a context manager. All of them die with it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = os.environ | environ

    def __enter__(self):
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT),
                *(sys.executable, "-m", "support.nursery"),
            ],
            env=self._environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(self, *_):
        with self._process:
            self._process.kill()

    def fork(self, *command: str) -> int:
        """Start a command; return its pid."""
        return self._ask(shlex.join(command))

    def kill(self, pid: int) -> None:
        """SIGKILL a child, and wait until it is gone."""
        self._ask(str(pid))

    def _ask(self, line: str) -> int:
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _be_child(command: list[str]) -> NoReturn:
    from frappe_enroll_cli.main import cli  # noqa: PLC0415  in the forking process

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    try:
        with contextlib.suppress(SystemExit):
            cli(command)
    finally:
        os._exit(0)


def _main() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        print(_obey(shlex.split(line)), flush=True)  # noqa: T201  the answer


def _obey(words: list[str]) -> int:
    if words[0].isdigit():
        pid = int(words[0])
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[0]
    return os.fork() or _be_child(words)


if __name__ == "__main__":
    _main()
