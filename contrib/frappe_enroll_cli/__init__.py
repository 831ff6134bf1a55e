# SPDX-License-Identifier: MIT
"""The ``frappe-enroll`` command."""
