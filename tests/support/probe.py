# SPDX-License-Identifier: MIT
"""A plugin that is owed a job for every change of a status and for every alert."""

from __future__ import annotations

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.outcomes import Done


KIND, ALERTS = "probe", "probe_alerts"


class Probe:
    """Remembers the keys of the jobs that it has run; may be told twice, like any."""

    def __init__(self) -> None:
        self.keys = set()
        #: What was alerted, by job: code, subject, and the other one.
        self.alerts = {}

    @hookimpl
    def register_jobs(self, register) -> None:
        """Ask for a job at every status."""
        register(KIND, self.run, on=tuple(str(status) for status in Status))
        register(ALERTS, self.hear, on=("alert",))

    def run(self, context):
        """Run one."""
        self.keys.add(context.job.key)
        return Done()

    def hear(self, context):
        """Hear an alert."""
        told = (context.code, context.subject, context.detail.get("other"))
        self.alerts[context.job.key] = told
        return Done()
