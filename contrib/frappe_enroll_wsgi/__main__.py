# SPDX-License-Identifier: MIT
"""``python -m frappe_enroll_wsgi``: print the OpenAPI document."""

from __future__ import annotations

from . import ROUTES
from ._internal.openapi import text_of


print(text_of(ROUTES), end="")  # noqa: T201  its output
