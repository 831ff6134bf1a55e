# SPDX-License-Identifier: MIT
"""
The test matrix: ``nox`` runs it all, ``nox -s tests`` one part.

A Python that is not found is named and left out; the others must pass. Long runs have
a small size by default; ``nox -s soak`` runs them at full size.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import nox


nox.needs_version = ">=2024.10.9"
# uv makes an environment in seconds; without it everything works, and takes longer.
nox.options.default_venv_backend = "uv|venv"
# Which Pythons a machine has is its own affair, in CI too: those missing are named.
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "tests", "tests_min", "wheel"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
#: The Pythons after the first one play smaller samples (tests/support/size.py).
LEAST = {"ENROLL_TEST_SIZE": "least"}
#: With the brief size they play only what depends on the Python or on a dependency. The
#: first Python and `wheel` test stores, servers and programs together.
ELSEWHERE = (
    [f"tests/{part}" for part in ("unit", "contract", "property")]
    if os.environ.get("ENROLL_TEST_SIZE") == "brief"
    else []
)
#: One more than there are cores: some tests wait for a server or a disk.
WORKERS = str((os.cpu_count() or 1) + 1)
PARALLEL = ["-n", WORKERS, "--dist", "worksteal", "--durations=15"]


def _find_pyenv() -> None:
    """Let nox see the Pythons of pyenv, whatever its shims are set to."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for folder in sorted(root.glob("versions/3.*/bin")):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


_find_pyenv()


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


def oldest() -> list[str]:
    """Return every lower bound of the project and its extras as a pin."""
    project = PROJECT["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted.extend(extra)
    pins = [r for r in wanted if not r.startswith(project["name"])]
    return sorted({re.sub(r">=", "==", pin) for pin in pins})


@nox.session
def lint(session: nox.Session) -> None:
    """Style, import direction."""
    session.install("-e", ".[all]", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Types: mypy strict over all that ships."""
    session.install("-e", ".[all]", *group("typing"), *group("test"))
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests, on every Python that is found; whole samples on the first one."""
    session.install("-e", ".[all]", *group("test"), *group("openapi"))
    if session.python == PYTHONS[0]:
        session.run("pytest", *PARALLEL, *session.posargs)
    else:
        parts = session.posargs or ELSEWHERE
        session.run("pytest", *PARALLEL, *parts, env=LEAST)


@nox.session(python="3.11")
def tests_min(session: nox.Session) -> None:
    """All tests, with the oldest versions of the dependencies that we promise."""
    session.install("-e", ".[all]", *group("test"), *oldest())
    session.run("pytest", *PARALLEL, *(session.posargs or ELSEWHERE), env=LEAST)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build; install without extras and with all; test what was built."""
    session.install("build")
    folder = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--outdir", str(folder))
    built = max(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    session.install(str(built))
    session.run("python", "-I", "tests/packaging/bare.py")
    session.install("twine")
    session.run("twine", "check", "--strict", str(built))
    session.install(f"{built}[all]", *group("test"))
    installed = LEAST | {"ENROLL_EXPECT_INSTALLED": "1"}
    parts = session.posargs or ["packaging", "conformance", "e2e", "examples"]
    folders = [f"tests/{part}" for part in parts]
    session.run("pytest", *PARALLEL, *folders, env=installed)


@nox.session
def browser(session: nox.Session) -> None:
    """Walk from the shop to the mended dead letter in Chromium; keep the pictures."""
    session.install("-e", ".[all]", *group("test"))
    pictures = {"ENROLL_SCREENSHOTS": str(Path(session.create_tmp()).absolute())}
    session.run("pytest", "tests/browser", *session.posargs, env=pictures)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure start-up, MongoDB, the queues and HTTP, beside the bare drivers."""
    session.install(".[all]", *group("test"))
    for name in session.posargs or (
        *("startup", "mongo", "queues", "sqlfile", "memory", "http_load"),
        "coupon_designs",
    ):
        session.run("python", f"tests/bench/{name}.py")


@nox.session
def simulate(session: nox.Session) -> None:
    """Play whole histories: ``-- --minutes 10 --first SEED``, ``-- --seed S -v``."""
    session.install("-e", ".[all]", *group("test"))
    session.run("python", "tests/simulation", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Send 100 000 mutated deliveries to the webhook."""
    session.install("-e", ".[all]", *group("test"))
    full = {"ENROLL_TEST_SIZE": "full"}
    session.run("pytest", *PARALLEL, "--timeout=3000", "tests/fuzz", env=full)


@nox.session
def security(session: nox.Session) -> None:
    """Ask as everybody, look for canaries, scan code and dependencies, bear a load."""
    session.install("-e", ".[all]", *group("test"), *group("security"))
    paths = [
        "tests/security",
        "tests/integration/test_bad_input.py",
        "tests/integration/test_edges.py",
        "tests/integration/test_http_costs.py",
        "tests/integration/test_http_rules.py",
        "tests/integration/test_identity.py",
        "tests/integration/test_limit_store.py",
        "tests/integration/test_privacy.py",
        "tests/integration/test_proxies.py",
        "tests/integration/test_sessions.py",
        "tests/integration/test_sql_moved.py",
        "tests/unit/test_spreadsheets.py",
        "tests/unit/test_log_filter.py",
        "tests/unit/test_urls.py",
    ]
    session.run("pytest", *PARALLEL, *paths)
    for part in ("code", "dependencies"):
        session.run("python", "tests/security/scan.py", part)
    session.run("python", "tests/security/load.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Run the kill, race, interleaving and state machine tests at full size."""
    session.install("-e", ".[all]", *group("test"), *group("openapi"))
    full = {"ENROLL_TEST_SIZE": "full"}
    session.run("pytest", *PARALLEL, "--timeout=3000", *session.posargs, env=full)
