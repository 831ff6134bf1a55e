# SPDX-License-Identifier: MIT
"""``python -m frappe_enroll_cli`` runs ``frappe-enroll``."""

from .main import main


main()
