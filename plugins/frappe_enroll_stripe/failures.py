# SPDX-License-Identifier: MIT
"""What stripe-python's errors mean: turned into ours at this one edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from frappe_enroll_sdk.deadline import Call, within
from frappe_enroll_sdk.errors import (
    BackendGoneError,
    BackendRefusedError,
    BackendRejectedError,
    ConflictError,
    EnrollError,
    PayloadError,
    PaymentsUnavailableError,
    ThrottledError,
    UnreadableAnswerError,
)


@contextmanager
def a_call(timeout_s: float) -> Iterator[None]:
    """
    Give a block's requests one deadline, and turn stripe-python's errors into ours.

    The texts give Stripe's cause, but nothing of the request.
    """
    with within(timeout_s) as call, _our_errors(call):
        yield


@contextmanager
def _our_errors(call: Call) -> Iterator[None]:
    try:
        yield
    except PayloadError as error:
        raise UnreadableAnswerError(
            f"Stripe's data can't be read: {error}", unclear=True
        ) from error
    except EnrollError:
        raise
    except stripe.StripeError as error:
        raise _error_of(error, call) from error
    except Exception as error:  # for instance a body that is not JSON
        raise PaymentsUnavailableError(
            f"Stripe's answer can't be read ({type(error).__name__})", unclear=True
        ) from error


def _error_of(error: stripe.StripeError, call: Call) -> EnrollError:
    status, words = error.http_status, error.user_message or type(error).__name__
    if isinstance(error, stripe.APIConnectionError):
        # Only a request that was never sent is certain to have had no effect.
        reached = call.may_have_acted
        how = (
            "was reached but did not answer in time" if reached else "can't be reached"
        )
        return PaymentsUnavailableError(f"Stripe {how}: {words}", unclear=reached)
    if status is not None and 300 <= status < 400:  # noqa: PLR2004
        return BackendRefusedError(
            f"STRIPE_API_BASE: it redirects ({status}): set it to the target",
            field="STRIPE_API_BASE",
        )
    if status is not None and status >= 400 and not _is_stripes(error):  # noqa: PLR2004
        # For instance a proxy's page: whatever its status, Stripe has refused nothing.
        return PaymentsUnavailableError(f"not Stripe's answer ({status})", unclear=True)
    if status in {401, 403}:
        return BackendRefusedError(
            f"STRIPE_SECRET_KEY: Stripe refuses it ({status})",
            field="STRIPE_SECRET_KEY",
        )
    if status == 409 or error.code == "idempotency_key_in_use":  # noqa: PLR2004
        return ConflictError("Stripe is still working on the same request")
    if status == 429:  # noqa: PLR2004
        retry_after = _retry_after(error)
        return ThrottledError("Stripe asks us to slow down", retry_after_s=retry_after)
    if error.code == "resource_missing":
        # 404 for an object's id, 400 if it is a parameter.
        return BackendGoneError(f"Stripe refused: {words}", field=_param(error))
    if status is not None and 400 <= status < 500:  # noqa: PLR2004
        return BackendRejectedError(f"Stripe refused: {words}", field=_param(error))
    return PaymentsUnavailableError(f"Stripe failed ({status})", unclear=True)


def _is_stripes(error: stripe.StripeError) -> bool:
    """Tell whether the answer is one of Stripe's own (API reference, "Errors")."""
    body = error.json_body
    told = body.get("error") if isinstance(body, dict) else None
    return isinstance(told, dict) and "type" in told


def _retry_after(error: stripe.StripeError) -> float | None:
    value = (error.headers or {}).get("Retry-After", "")
    return float(value) if str(value).isdecimal() else None


def _param(error: stripe.StripeError) -> str | None:
    param = getattr(error, "param", None)
    return param if isinstance(param, str) else None
