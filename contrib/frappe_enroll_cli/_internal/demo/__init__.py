# SPDX-License-Identifier: MIT
"""``frappe-enroll demo``: run and check the whole flow on loopback."""
