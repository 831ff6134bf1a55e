# SPDX-License-Identifier: MIT
"""``python -m frappe_enroll_cli`` is ``frappe-enroll``."""

from .main import main


main()
