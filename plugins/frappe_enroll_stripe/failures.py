# SPDX-License-Identifier: MIT
"""What stripe-python's errors mean: turned into ours at this one edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from frappe_enroll_sdk.errors import (
    BackendGoneError,
    BackendRefusedError,
    BackendRejectedError,
    ConflictError,
    EnrollError,
    PayloadError,
    PaymentsUnavailableError,
    ThrottledError,
)


@contextmanager
def our_errors() -> Iterator[None]:
    """Turn stripe-python's errors into ours; texts name Stripe's cause, no request."""
    try:
        yield
    except PayloadError as error:
        raise PaymentsUnavailableError(
            f"Stripe answered something else: {error}", unclear=True
        ) from error
    except EnrollError:
        raise
    except stripe.StripeError as error:
        raise _error_of(error) from error
    except Exception as error:  # e.g. a body that is not JSON
        raise PaymentsUnavailableError(
            f"Stripe's answer can't be read ({type(error).__name__})", unclear=True
        ) from error


def _error_of(error: stripe.StripeError) -> EnrollError:
    status, words = error.http_status, error.user_message or type(error).__name__
    if isinstance(error, stripe.APIConnectionError):
        # Only a refused connection is sure to have carried nothing.
        unclear = not _never_connected(error)
        return PaymentsUnavailableError("Stripe can't be reached", unclear=unclear)
    if status in {401, 403}:
        return BackendRefusedError(
            f"STRIPE_SECRET_KEY: Stripe refuses it ({status})",
            field="STRIPE_SECRET_KEY",
        )
    if status == 409 or error.code == "idempotency_key_in_use":  # noqa: PLR2004
        return ConflictError("Stripe is still working on the same request")
    if status == 429:  # noqa: PLR2004
        retry_after = _retry_after(error)
        return ThrottledError("Stripe asks to slow down", retry_after_s=retry_after)
    if error.code == "resource_missing":
        # 404 for an object's id, 400 where it is a parameter.
        return BackendGoneError(f"Stripe refused: {words}", field=_param(error))
    if status is not None and 400 <= status < 500:  # noqa: PLR2004
        return BackendRejectedError(f"Stripe refused: {words}", field=_param(error))
    return PaymentsUnavailableError(f"Stripe failed ({status})", unclear=True)


def _never_connected(error: BaseException) -> bool:
    """Tell whether the connection was refused before anything was sent."""
    seen: BaseException | None = error
    while seen is not None:
        name = type(seen).__name__
        if name in {"NewConnectionError", "ConnectTimeout", "ConnectTimeoutError"}:
            return True
        if isinstance(seen, ConnectionRefusedError):
            return True
        reason = getattr(seen, "reason", None)
        inner = seen.args[0] if seen.args else None
        following = reason if isinstance(reason, BaseException) else inner
        seen = following if isinstance(following, BaseException) else seen.__cause__
    return False


def _retry_after(error: stripe.StripeError) -> float | None:
    value = (error.headers or {}).get("Retry-After", "")
    return float(value) if str(value).isdecimal() else None


def _param(error: stripe.StripeError) -> str | None:
    param = getattr(error, "param", None)
    return param if isinstance(param, str) else None
