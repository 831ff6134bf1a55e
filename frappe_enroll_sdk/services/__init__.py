# SPDX-License-Identifier: MIT
"""
The use cases: each module has one; `wiring.py` builds them.

Internal: hosts and plugins reach them over an `EnrollSDK`.
"""

__all__: tuple[str, ...] = ()
