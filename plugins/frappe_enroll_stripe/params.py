# SPDX-License-Identifier: MIT
"""
The create request, in stripe-python's own parameter types; pure, no I/O.

What plugins add is read field by field, so that whatever is sent is a parameter of
Stripe's published API; anything else is the plugin's fault and named so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.errors import ConfigurationError

from .records import APP_KEY, APP_VALUE, DEPLOYMENT_KEY, ID_KEY, TRY_KEY, metadata_of


if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

    from frappe_enroll_sdk.models import SessionOrder


def create_params(order: SessionOrder, deployment: str) -> SessionCreateParams:
    """Return the create parameters of an order's session."""
    mark = {ID_KEY: order.enrollment_id, APP_KEY: APP_VALUE}
    if deployment:
        mark[DEPLOYMENT_KEY] = deployment
    title = order.course_title or order.terms.course_id
    params: SessionCreateParams = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.amount.currency,
                    "unit_amount": order.amount.amount_minor,
                    "product_data": {"name": title},
                    "tax_behavior": order.terms.tax_behavior,
                },
            }
        ],
        "customer_email": order.email,
        "client_reference_id": order.enrollment_id,
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        "expires_at": int(order.expires_at.timestamp()),
        "metadata": {
            **order.metadata,
            **mark,
            TRY_KEY: str(order.try_number),
            **metadata_of(order.terms),
        },
        "payment_intent_data": {"metadata": mark},
    }
    _add(params, order.parameters)
    return params


def _add(params: SessionCreateParams, extra: Mapping[str, Any]) -> None:
    """Add the allow-listed parameters from plugins (``ALLOWED_PARAMETERS``)."""
    for name, value in extra.items():
        if name == "locale":
            params["locale"] = _text(value, name)
        elif name == "payment_method_types":
            # Its name in the API version to which requests are pinned.
            params["allowed_payment_method_types"] = [
                _text(one, name) for one in _list(value)
            ]
        elif name == "automatic_tax":
            params["automatic_tax"] = {"enabled": _switch(value, name)}
        elif name == "tax_id_collection":
            params["tax_id_collection"] = {"enabled": _switch(value, name)}
        elif name == "invoice_creation":
            params["invoice_creation"] = {"enabled": _switch(value, name)}
        else:
            raise _wrong(name, "is not allowed")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(name, "must be text")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, (list, tuple)) or not value:
        raise _wrong("payment_method_types", "must be a list")
    return list(value)


def _switch(value: object, name: str) -> bool:
    """Parse ``{"enabled": true}``; pass on nothing else."""
    if not isinstance(value, Mapping) or set(value) != {"enabled"}:
        raise _wrong(name, 'must be {"enabled": …}')
    enabled = value["enabled"]
    if not isinstance(enabled, bool):
        raise _wrong(name, "enabled must be true or false")
    return enabled


def _wrong(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"enrich_checkout: {name}: {why}", field=name)
