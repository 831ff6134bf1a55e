# SPDX-License-Identifier: MIT
"""A plugin that is owed one job for every change of every enrollment's status."""

from __future__ import annotations

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.outcomes import Done


KIND = "probe"


class Probe:
    """Remembers the keys of the jobs that it has run; may be told twice, like any."""

    def __init__(self) -> None:
        self.keys = set()

    @hookimpl
    def register_jobs(self, register) -> None:
        """Ask for a job at every status."""
        register(KIND, self.run, on=tuple(str(status) for status in Status))

    def run(self, context):
        """Run one."""
        self.keys.add(context.job.key)
        return Done()
