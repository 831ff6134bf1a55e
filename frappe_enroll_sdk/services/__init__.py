# SPDX-License-Identifier: MIT
"""The use cases: each module has one; `sdk.py` wires them."""
