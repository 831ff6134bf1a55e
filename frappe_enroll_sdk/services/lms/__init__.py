# SPDX-License-Identifier: MIT
"""LMS: make its rows match the enrollments."""
