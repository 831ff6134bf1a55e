# SPDX-License-Identifier: MIT
"""``python -m frappe_enroll_wsgi``: print the OpenAPI document."""

from __future__ import annotations

from .openapi import text_of


print(text_of(), end="")  # noqa: T201  its output
