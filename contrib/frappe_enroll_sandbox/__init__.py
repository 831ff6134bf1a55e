# SPDX-License-Identifier: MIT
"""
Stand-ins for Stripe and Frappe LMS: HTTP servers on loopback.

Hosts and plugin authors use them for tests and demonstrations: the real ``stripe`` and
``frappe-client`` packages talk to them, and they produce faults on demand.
"""

from .lms import LMSSandbox
from .stripe import StripeSandbox


__all__ = ["LMSSandbox", "StripeSandbox"]
