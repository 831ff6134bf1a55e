# SPDX-License-Identifier: MIT
"""The LMS: what the enrollments say is made true there."""
