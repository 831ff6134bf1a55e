# SPDX-License-Identifier: MIT
"""``frappe-enroll demo``: the whole path on loopback, played and checked."""
