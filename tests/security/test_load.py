# SPDX-License-Identifier: MIT
"""The load test at a small size: it measures what it says; no time is asserted."""

from __future__ import annotations

import pytest
from security import load
from support.size import with_the_first_python


@with_the_first_python
def test_strangers_are_refused_and_learners_are_not(monkeypatch):
    """Every kind is sent and refused as it should be; the ratio is told."""
    pytest.importorskip("gunicorn")
    monkeypatch.setattr(load, "ROUNDS", 1)
    monkeypatch.setattr(load, "ROUND_S", 1.0)
    told, run = load.measure(2 * len(load.KINDS))
    assert load.wrong(run) == {}
    assert {kind: sum(c.values()) for kind, c in run.statuses.items()} == (
        dict.fromkeys(load.KINDS, 2)
    )
    assert told["ratio"] > 0
    assert min(told[name]["requests"] for name in ("undisturbed", "disturbed")) > 5


def test_answer_that_should_not_be_is_told():
    """A stranger who gets in, a learner who is refused."""
    run = load.Run(None, 0)
    run.statuses["deep JSON"][500] += 1
    run.failed[429] += 1
    assert load.wrong(run) == {"deep JSON": [500], "honest": [429]}
