# SPDX-License-Identifier: MIT
"""The public LMS suite on this backend: one empty class and one fixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from enroll_file_lms import FileLMS

from frappe_enroll_sdk.testing.conformance import LMSConformance


class Driver:
    """The backend and whoever runs the platform behind it."""

    capabilities = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lms = FileLMS(str(path))
        self.lms.create_platform()
        self.add_course = self.lms.add_course

    def rows(self, learner, course_id):
        """Look into the file."""
        return [row.name for row in self.lms.find_enrollments(learner, course_id)]

    def go_down(self):
        """Take the file away."""
        self._path.rename(self._path.with_suffix(".away"))

    def come_back(self):
        """Put it back."""
        self._path.with_suffix(".away").rename(self._path)


class TestFileLMS(LMSConformance):
    """What the SDK expects of an LMS."""

    @pytest.fixture
    def lms_driver(self, tmp_path):
        """Return a driver with nothing in it."""
        return Driver(tmp_path / "lms.sqlite3")
