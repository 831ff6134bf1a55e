# SPDX-License-Identifier: MIT
"""
A Stripe-shaped and a Frappe-LMS-shaped HTTP server for loopback.

Hosts and plugin authors test and demonstrate with them: the real ``stripe`` and
``frappe-client`` packages talk to them, and every fault can be had on demand.
"""

from .lms import LMSSandbox
from .stripe import StripeSandbox


__all__ = ["LMSSandbox", "StripeSandbox"]
