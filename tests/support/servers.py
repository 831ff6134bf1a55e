# SPDX-License-Identifier: MIT
"""The HTTP surface under the servers that deployments use: gunicorn, waitress."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from .realworld import SECRET


APP = """
import os
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_wsgi import create_app

sdk = EnrollSDK.from_env()
sdk.setup()
application = create_app(sdk)
"""
SERVERS = {
    "gunicorn-threads": [
        "gunicorn",
        "--workers=2",
        "--threads=4",
        "--graceful-timeout=20",
    ],
    "gunicorn-preload": ["gunicorn", "--workers=2", "--threads=4", "--preload"],
    "waitress": ["waitress"],
}


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process over both sandboxes (`urls`) and what the environment names."""

    def __init__(self, folder, urls, kind, **environ):
        pytest.importorskip(SERVERS[kind][0], reason="the server is not installed")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "served.py").write_text(APP, encoding="utf-8")
        name, *options = SERVERS[kind]
        where = (
            f"--listen=127.0.0.1:{port}"
            if name == "waitress"
            else f"--bind=127.0.0.1:{port}"
        )
        environ = os.environ | {
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": urls["stripe"],
            "FRAPPE_LMS_URL": urls["lms"],
            "FRAPPE_LMS_API_KEY": "sandbox-key",
            "FRAPPE_LMS_API_SECRET": "sandbox-secret",
            "FRAPPE_ENROLL_PUBLIC_URL": self.url,
            "FRAPPE_ENROLL_RATE_LIMITS": "off",
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", name, where, *options, "served:application"],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self):
        ends = time.monotonic() + 30
        while True:
            try:
                assert self.call("/healthz")[0] == 200
            except OSError:
                assert time.monotonic() < ends, "the server never came up"
                time.sleep(0.1)
            else:
                return

    def call(self, path, fields=None):
        """Send a request; return status and body."""
        data = None if fields is None else json.dumps(fields).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def stop(self, number=signal.SIGTERM):
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(40)


def serve(folder, world, kind):
    """Start a server over a `RealWorld`."""
    return Server(folder, world.urls, kind, DATABASE_URL=f"sqlite:///{world.database}")
