# SPDX-License-Identifier: MIT
"""Mails about what has happened, one per fact."""
