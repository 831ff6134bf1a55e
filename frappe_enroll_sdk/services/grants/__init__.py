# SPDX-License-Identifier: MIT
"""Grants: the form that learners fill in, and what becomes of an application."""
