# SPDX-License-Identifier: MIT
"""What every store shares: the rules of queue, gate, seats and ledger."""
