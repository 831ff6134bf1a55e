# SPDX-License-Identifier: MIT
"""Real servers behind a real nginx, as docs/mounting.md says."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .servers import free_port


PAGE = Path(__file__).parents[2] / "docs" / "mounting.md"
#: What the page's words become here.
_ADDRESS, _SOCKET = "127.0.0.1:8000", "/run/enroll/web.sock"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
APP = """
import logging
import sys

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_wsgi import create_app

logging.basicConfig(stream=sys.stderr)
lms = FakeLMS()
lms.add_course("python-101", Money(4900, "usd"))
sdk = EnrollSDK(
    Settings.from_env(),
    storage=MemoryStorage(),
    payments=FakePayments(),
    lms=lms,
    discover=False,
)
surface = create_app(sdk)
application = DispatcherMiddleware(NotFound(), {"/enroll": surface})
"""


def blocks(language):
    """Return the page's blocks of a language, of the two sections about servers."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Django")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands():
    """Return the page's commands, by server and "tcp" or "unix"."""
    found = {}
    for line in "\n".join(blocks("sh")).splitlines():
        if line and not line.startswith("export"):
            kind = "unix" if _SOCKET in line else "tcp"
            found[line.split()[0].partition("-")[0], kind] = line
    return found


def trusted():
    """Return the page's word for who is trusted, by "tcp" and "unix"."""
    text = "".join(blocks("sh"))
    words = re.findall(r"export FRAPPE_ENROLL_TRUSTED_PROXIES=(.*)", text)
    return dict(zip(("tcp", "unix"), words, strict=True))


def wait_for(connect, what):
    """Wait until something listens."""
    ends = time.monotonic() + 30
    while True:
        try:
            connect().close()
        except OSError:
            assert time.monotonic() < ends, f"{what} never came up"
            time.sleep(0.05)
        else:
            return


def _answered(peer):
    """Return a connection on which a request was answered."""
    peer.settimeout(30)
    peer.sendall(b"GET /enroll/healthz HTTP/1.0\r\nHost: shop\r\n\r\n")
    assert peer.recv(16), "closed without an answer"
    return peer


class Served:
    """One of the page's servers over made-up backends."""

    def __init__(self, folder, name, kind, **environ):
        if NGINX is None:
            pytest.skip("nginx is not installed")
        line = commands()[name, kind]
        binary = Path(sys.executable).parent / line.split()[0]
        if not binary.exists():
            binary = binary.with_name(f"py{binary.name}")  # a wheel of uWSGI
        if not binary.exists():
            pytest.skip(f"{line.split()[0]} is not installed")
        self.port, self.socket = free_port(), str(folder / "web.sock")
        (folder / "wsgi.py").write_text(APP, encoding="utf-8")
        line = line.replace(_ADDRESS, f"127.0.0.1:{self.port}")
        line = line.replace(_SOCKET, self.socket)
        # One process: what is made up lives in its memory.
        line = re.sub(r"--(workers|processes) \d+", r"--\1 1", line)
        known = {k: v for k, v in os.environ.items() if not k.startswith("FRAPPE")}
        environ = known | {
            "FRAPPE_ENROLL_TRUSTED_PROXIES": trusted()[kind],
            "FRAPPE_ENROLL_PUBLIC_URL": "https://shop.example.com/shop/enroll",
            "FRAPPE_ENROLL_RATE_LIMITS": "checkout=2/900",
            "PYTHONPATH": str(folder),
            **environ,
        }
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, *shlex.split(line)[1:]],
                cwd=folder,
                env=environ,
                stdout=log,
                stderr=log,
            )
        self.upstream = f"127.0.0.1:{self.port}"
        if kind == "unix":
            self.upstream = f"unix:{self.socket}:"
        # A server may listen before it has loaded the application, and uWSGI forgets a
        # SIGTERM that comes in between.
        wait_for(self._answered_unix if kind == "unix" else self._answered_tcp, line)

    def _answered_tcp(self):
        return _answered(socket.create_connection(("127.0.0.1", self.port), 1))

    def _answered_unix(self):
        peer = socket.socket(socket.AF_UNIX)
        with contextlib.ExitStack() as stack:
            stack.callback(peer.close)
            peer.connect(self.socket)
            stack.pop_all()
        return _answered(peer)

    def close(self):
        """End it as a supervisor does."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()


class Nginx:
    """The page's nginx in front of a server, with more of its words if wanted."""

    def __init__(self, folder, served, more=""):
        (location,) = blocks("nginx")
        location = location.replace(_ADDRESS, served.upstream)
        location = location.replace("\n}", f"\n{more}\n}}", 1)
        self.port = free_port()
        config = folder / "nginx.conf"
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n"
            f"user {_me()};\nerror_log {folder}/nginx.log;\n"
            f"events {{ worker_connections 64; }}\nhttp {{\n"
            f"{temporary}access_log off;\n"
            f"server {{\nlisten 127.0.0.1:{self.port};\n{location}\n}}\n}}\n",
            encoding="utf-8",
        )
        self.process = subprocess.Popen(
            [NGINX, "-c", config, "-e", folder / "nginx.log"],
            stderr=subprocess.DEVNULL,
        )
        address = ("127.0.0.1", self.port)
        wait_for(lambda: socket.create_connection(address, 1), "nginx")

    def ask(self, method, path, body=None, headers=None, source="127.0.0.1", **more):
        """Send a request from an address of loopback; return answer and body."""
        client = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(source, 0)
        )
        with contextlib.closing(client):
            client.request(method, path, body, headers or {}, **more)
            answer = client.getresponse()
            return answer, answer.read()

    def close(self):
        """End it."""
        self.process.terminate()
        self.process.wait(20)


def _me():
    return getpass.getuser()
