# SPDX-License-Identifier: MIT
"""
Other people's eyes: bandit over what ships, pip-audit over what is installed.

``python tests/security/scan.py code`` ends with 1 where bandit finds what no exception
explains, or an exception explains nothing. ``… dependencies`` ends with 1 where a
dependency has a known hole, and says so where no source of data was reached.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


ROOT = Path(__file__).parents[2]
#: (test of bandit, files, code): why it is right there.
EXCEPTIONS = {
    ("B101", "frappe_enroll_sdk/testing/*", ""): "suites are tests: they assert",
    ("B101", "frappe_enroll_sdk/*", "is not None"): "for the type checker; set before",
    ("B101", "*/interfaces/tables.py", "before, tuple"): "for it, too: a cell of LINES",
    ("B101", "*_sql/coupons.py", "SQLiteTables"): "for it, too: built over these",
    ("B101", "contrib/*/demo/stage.py", "is not None"): "it was opened as a pipe",
    (
        "B104",
        "*/proxies.py",
        "_NO_PEER",
    ): "what a server calls a Unix socket; not bound",
    ("B105", "contrib/*/demo/stage.py", "WEBHOOK_SECRET"): "a sandbox's, on loopback",
    ("B105", "contrib/*_sandbox/__main__.py", "WEBHOOK_SECRET"): "the same",
    ("B105", "*/api/builders.py", "TOKEN_HEADER"): "the name of a header",
    ("B105", "*", 'token = ""'): "no claim",
    ("B105", "*", '"token_hash": ""'): "an erased row has none",
    ("B105", "*/stores/jobs.py", '"token": None'): "a dead job has no claim",
    ("B310", "contrib/*/demo/stage.py", "urlopen"): "a URL of our own server",
    ("B310", "contrib/*_sandbox/*", "urlopen"): "a URL that the test has given",
    ("B311", "contrib/*_sandbox/*", "random.Random"): "which fault hits is no secret",
    ("B403", "frappe_enroll_sdk/testing/*", "pickle"): "a suite's own bytes",
    ("B404", "contrib/*/demo/stage.py", "subprocess"): "the demo kills a worker",
    ("B603", "contrib/*/demo/stage.py", "Popen"): "our own module, no shell",
    ("B608", "*_sql/coupons.py", "coupon_seats"): "our own columns; values are bound",
    ("B608", "*_sql/coupons.py", "_FULL = f"): "the same",
    ("B608", "*_sql/file.py", "FROM schema_version"): "one of two columns of our own",
    ("B608", "*_sql/migrate.py", "{table}"): "our own tables; values are bound",
    ("B608", "*_sql/migrate.py", "{issued}"): "a subquery of our own",
    ("B608", "*_sql/migrate.py", "{into.found}"): "our own number; values are bound",
}
_NAME = re.compile(r"[A-Za-z0-9._-]+")
#: How pip-audit ends where it could ask nobody: by its own error, or by its client's.
_UNREACHED = re.compile(
    r"^(?:requests|urllib3)\.exceptions\.\w+|^pip_audit\._service\S*Error"
    r"|^ERROR:pip_audit\._cli:.*connect",
    re.MULTILINE,
)


class Unreached(Exception):  # noqa: N818  the tool is well, and nobody answers it
    """No source of known holes could be asked."""


def _run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip().startswith(("{", "[")):
        raise failure(command[0], done.stderr)
    return done.stdout


def failure(tool: str, said: str) -> BaseException:
    """Return what is raised for a tool that gave no answer."""
    if _UNREACHED.search(said):
        return Unreached()
    return SystemExit(said.strip()[-2000:] or f"{tool} said nothing")


def findings() -> list[tuple[str, str, str]]:
    """Return what bandit finds: its test, the file, the line of code."""
    folders = ("frappe_enroll_sdk", "plugins", "contrib")
    told = json.loads(_run("bandit", "-q", "-r", "-f", "json", *folders))
    found = []
    for one in told["results"]:
        # Its excerpt has a line before and after, each with its number.
        lines = dict(line.partition(" ")[::2] for line in one["code"].splitlines())
        code = lines.get(str(one["line_number"]), "").strip()
        found.append((one["test_id"], one["filename"].removeprefix("./"), code))
    return found


def unexplained(found: list[tuple[str, str, str]]) -> list[str]:
    """Return what no exception explains, and exceptions that explain nothing."""
    used = set()
    wrong = []
    for test, file, code in found:
        keys = {
            key
            for key in EXCEPTIONS
            if key[0] == test and fnmatch(file, key[1]) and key[2] in code
        }
        used |= keys
        if not keys:
            wrong.append(f"{test} {file}: {code}")
    idle = EXCEPTIONS.keys() - used
    return wrong + [f"explains nothing: {key}" for key in sorted(idle)]


def requirements() -> dict[str, str]:
    """Return name and version of what all extras bring into this environment."""
    found: dict[str, str] = {}
    queue = ["frappe-enroll-sdk"]
    while queue:
        name = queue.pop().lower()
        if name in found:
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = installed.version
        queue += [_NAME.match(line)[0] for line in installed.requires or ()]  # type: ignore[index]  # it has a name
    del found["frappe-enroll-sdk"]
    return found


def audited(told: dict[str, list[dict[str, object]]]) -> tuple[list[str], int]:
    """Return the known holes, and how many dependencies were looked up at all."""
    known = [one for one in told["dependencies"] if "skip_reason" not in one]
    holes = [
        f"{one['name']} {one['version']}: {[v['id'] for v in one['vulns']]}"  # type: ignore[attr-defined]  # a list of objects
        for one in known
        if one["vulns"]
    ]
    return holes, len(known)


def _dependencies() -> int:
    import tempfile  # noqa: PLC0415  not for the code's part

    wanted = requirements()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        pins = "\n".join(f"{name}=={version}" for name, version in wanted.items())
        file.write_text(pins, encoding="utf-8")
        options = ("--no-deps", "--disable-pip", "--progress-spinner=off", "-f", "json")
        try:
            told = json.loads(_run("pip_audit", *options, "-r", str(file)))
        except Unreached:
            told = {"dependencies": []}
    holes, known = audited(told)
    if not known:
        print("NOT AUDITED: no source of known holes was reached from here")
    print(f"{known} of {len(wanted)} dependencies were looked up", *holes, sep="\n")
    return int(bool(holes))


def main(part: str) -> int:
    """Run one part; return the exit code."""
    if part == "dependencies":
        return _dependencies()
    wrong = unexplained(findings())
    print(*wrong or ["bandit finds nothing that is not explained"], sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
