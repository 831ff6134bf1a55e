# SPDX-License-Identifier: MIT
"""What bandit finds in what ships is explained, and what pip-audit says is read."""

from __future__ import annotations

import pytest
from security import scan
from support.size import with_the_first_python


@with_the_first_python
def test_only_what_is_explained_is_found():
    """Each exception has its reason; one that explains nothing goes."""
    assert scan.unexplained(scan.findings()) == []


def test_what_is_not_explained_is_told():
    """An exception is for its file and its line only."""
    explained = [
        (test, files.replace("*", "x"), code) for test, files, code in scan.EXCEPTIONS
    ]
    assert scan.unexplained(explained) == []
    told = scan.unexplained([*explained, ("B602", "contrib/x.py", "shell=True")])
    assert told == ["B602 contrib/x.py: shell=True"]
    assert len(scan.unexplained(explained[1:])) == 1


def test_audit_that_looked_nothing_up_says_so():
    """A source that knows no package is no source that knows no hole."""
    skipped = {"name": "a", "version": "1", "skip_reason": "not found"}
    clean = {"name": "b", "version": "1", "vulns": []}
    holed = {"name": "c", "version": "1", "vulns": [{"id": "CVE-1"}]}
    assert scan.audited({"dependencies": [skipped]}) == ([], 0)
    assert scan.audited({"dependencies": [skipped, clean]}) == ([], 1)
    assert scan.audited({"dependencies": [clean, holed]}) == (["c 1: ['CVE-1']"], 2)


@pytest.mark.parametrize(
    ("said", "unreached"),
    [
        ("Traceback\n  x\nrequests.exceptions.ProxyError: HTTPSConnectionPool", True),
        ("requests.exceptions.ConnectTimeout: (<urllib3", True),
        ("urllib3.exceptions.MaxRetryError: HTTPSConnectionPool", True),
        ("pip_audit._service.interface.ConnectionError: Could not connect", True),
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed", True),
        ("/usr/bin/python: No module named pip_audit", False),
        ("usage: pip-audit [-h]\npip-audit: error: unrecognized arguments", False),
        ("", False),
    ],
)
def test_audit_that_reached_nobody_is_told_from_one_that_broke(said, unreached):
    """The first says that nothing was audited; the second is mended."""
    assert isinstance(scan.failure("pip_audit", said), scan.Unreached) is unreached


def test_dependencies_of_all_extras_are_known():
    """With what they bring in turn."""
    assert {"attrs", "pluggy", "werkzeug", "urllib3"} <= scan.requirements().keys()
