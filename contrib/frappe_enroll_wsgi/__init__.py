# SPDX-License-Identifier: MIT
"""The HTTP surface: a WSGI application over one SDK."""

from .app import create_app


__all__ = ["create_app"]
