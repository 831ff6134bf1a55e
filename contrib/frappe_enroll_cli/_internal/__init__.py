# SPDX-License-Identifier: MIT
"""The commands, one module a subject, and what they share."""
