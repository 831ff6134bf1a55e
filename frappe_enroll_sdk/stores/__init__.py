# SPDX-License-Identifier: MIT
"""
Every store, over any database's tables, and the rules of queue, gate, seats and ledger.

Internal, but for what a backend is built with: see ``docs/reference/core.md``.
"""

__all__: tuple[str, ...] = ()
