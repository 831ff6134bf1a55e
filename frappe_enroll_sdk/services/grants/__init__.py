# SPDX-License-Identifier: MIT
"""Grants: the application form, and its approval or rejection."""
