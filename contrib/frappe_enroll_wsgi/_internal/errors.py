# SPDX-License-Identifier: MIT
"""Errors that only HTTP has; like all others they have a stable `code`."""

from __future__ import annotations

from frappe_enroll_sdk.errors import RejectedError, TransientError


class UnauthorizedError(RejectedError):
    """No credentials, or wrong ones."""

    code = "unauthorized"
    http_status = 401
    public_message = "Valid credentials are required."


class ForbiddenError(RejectedError):
    """The credentials are good, but not for this."""

    code = "forbidden"
    http_status = 403
    public_message = "Your role does not allow this."


class CrossSiteError(RejectedError):
    """A browser sent the credentials with another site's request."""

    code = "cross_site"
    http_status = 403
    public_message = "The request came from another site."


class UnsupportedError(RejectedError):
    """The body's type, character set or encoding is not supported."""

    code = "unsupported_media_type"
    http_status = 415
    public_message = "The body must be uncompressed JSON in UTF-8."


class RateLimitedError(TransientError):
    """Too many requests of this kind from this address or for this learner."""

    code = "rate_limited"
    http_status = 429
    public_message = "Too many requests. Try again later."
