# SPDX-License-Identifier: MIT
"""Rules that every store shares: the queue, the gates and the ledger."""
