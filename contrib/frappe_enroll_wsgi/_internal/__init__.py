# SPDX-License-Identifier: MIT
"""What the surface is made of; import its public names from `frappe_enroll_wsgi`."""
