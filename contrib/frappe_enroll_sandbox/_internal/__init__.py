# SPDX-License-Identifier: MIT
"""What the sandboxes are made of; import them from `frappe_enroll_sandbox`."""
