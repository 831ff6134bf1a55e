# SPDX-License-Identifier: MIT
"""
Stand-ins for Stripe and Frappe LMS: HTTP servers on loopback.

Hosts and plugin authors use them for tests and demonstrations: the real ``stripe`` and
``frappe-client`` packages talk to them, and they produce faults on demand.
"""

from ._internal.lms import LMSSandbox
from ._internal.server import LoopbackServer
from ._internal.stripe import StripeSandbox
from ._internal.stripe_webhooks import sign


__all__ = ["LMSSandbox", "LoopbackServer", "StripeSandbox", "sign"]
