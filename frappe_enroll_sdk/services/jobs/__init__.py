# SPDX-License-Identifier: MIT
"""Jobs: claim due work, run it, and complete or retry it."""
