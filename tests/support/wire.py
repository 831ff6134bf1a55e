# SPDX-License-Identifier: MIT
"""
A wire to a mongod that fails as it is told: before a command, or after its answer.

`failCommand` breaks a connection before the command only. Here the server does what it
was asked and its answer is lost, or somebody else acts between two commands.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self

from bson import decode


#: The commands that count; the driver's own (hello, endSessions) never do.
_COUNTED = frozenset(
    {"insert", "update", "delete", "find", "findAndModify"} | {"aggregate", "getMore"}
)
_HEADER, _OP_MSG = 16, 2013


def command_of(message: bytes) -> dict:
    """Return the command of a message ({} for what is none); no sequence sections."""
    (opcode,) = struct.unpack_from("<i", message, 12)
    # 4 bytes of flags, then a section of kind 0: the command.
    if opcode != _OP_MSG or message[20] != 0:
        return {}
    (size,) = struct.unpack_from("<i", message, 21)
    return decode(message[21 : 21 + size])


class Wire:
    """
    A loopback port in front of a server; a context manager.

    Attributes:
        log: Names of the commands that passed, in their order.
        plan: Called with (number from one, name, command) before each command passes.
            Returns None, or what becomes of it: "cut" (the connection breaks before
            it), "lose" (it is done and its answer lost), "late" (the connection breaks
            and it is done when `deliver` is called), or a function to be called when
            it is done, before its answer passes.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.log: list[str] = []
        self.plan = None
        self._late: list[bytes] = []

    @property
    def uri(self) -> str:
        """Of the server, by this wire; the driver's own talk keeps to questions."""
        options = "directConnection=true&serverMonitoringMode=poll"
        return f"mongodb://127.0.0.1:{self.port}/?{options}"

    def arm(self, plan) -> None:
        """Count anew, by another plan (None: everything passes)."""
        with self._lock:
            self.log, self.plan = [], plan

    def deliver(self) -> None:
        """Let the server do what was late, one after the other."""
        while self._late:
            with socket.create_connection(("127.0.0.1", self._upstream)) as far:
                far.sendall(self._late.pop(0))
                assert far.recv(1 << 16)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        # Wakes the thread that waits in accept; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._upstream))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pair = _Pair(near, far)
                for pump in (self._ask, self._answer):
                    threading.Thread(target=pump, args=(pair,), daemon=True).start()

    def _ask(self, pair: _Pair) -> None:
        with pair, contextlib.suppress(OSError):
            while message := pair.message():
                pair.then = self._decide(command_of(message))
                if pair.then == "late":
                    self._late.append(message)
                if pair.then in {"cut", "late"}:
                    return
                pair.far.sendall(message)

    def _decide(self, command: dict):
        name = next(iter(command), "")
        if name not in _COUNTED:
            return None
        with self._lock:
            self.log.append(name)
            number, plan = len(self.log), self.plan
        return plan(number, name, command) if plan else None

    def _answer(self, pair: _Pair) -> None:
        with pair, contextlib.suppress(OSError):
            while answer := pair.far.recv(1 << 16):
                then, pair.then = pair.then, None
                if then == "lose":
                    return
                if then is not None:
                    then()
                pair.near.sendall(answer)


class _Pair:
    """Both ends of one connection; whoever leaves closes both."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far, self.then = near, far, None

    def message(self) -> bytes:
        """Read one message of the client; empty at the end."""
        header = self._read(4)
        if not header:
            return b""
        (size,) = struct.unpack("<i", header)
        return header + self._read(size - 4)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.near.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
