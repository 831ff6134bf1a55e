# SPDX-License-Identifier: MIT
"""The ``frappe-enroll`` command; its entry point is `frappe_enroll_cli.main`."""

__all__: list[str] = []
