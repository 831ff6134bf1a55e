# SPDX-License-Identifier: MIT
"""A backend whose calls are timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import EnrollError
from ...metrics import LMS_SECONDS


if TYPE_CHECKING:
    from ...clock import Ambient
    from ...metrics import Metrics

_VERBS = frozenset(
    {
        "ping",
        "get_course",
        "list_courses",
        "find_user",
        "create_user",
        "find_enrollments",
        "insert_enrollment",
        "enroll",
        "mark_sale",
        "find_holds",
        "delete_enrollment",
    }
)


class TimedLMS:
    """Wraps an `LMS` and measures each call."""

    def __init__(self, lms: Any, metrics: Metrics, ambient: Ambient) -> None:
        self._lms, self._metrics, self._ambient = lms, metrics, ambient

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._lms, name)
        if name not in _VERBS:
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            began, outcome = self._ambient.monotonic(), "ok"
            try:
                return value(*arguments, **named)
            except Exception as error:
                outcome = error.code if isinstance(error, EnrollError) else "unexpected"
                raise
            finally:
                spent_s = self._ambient.monotonic() - began
                self._metrics.observe(LMS_SECONDS, spent_s, verb=name, outcome=outcome)

        return call
