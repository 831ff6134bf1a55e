# SPDX-License-Identifier: MIT
"""The handlers, one function per route; every mount uses these."""
