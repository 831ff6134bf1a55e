# SPDX-License-Identifier: MIT
"""Which parameters Stripe's endpoints take; any other is refused, as by Stripe."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from .stripe_money import Json, invalid


_SESSION = frozenset(
    [
        "adaptive_pricing",
        "after_expiration",
        "allow_promotion_codes",
        "automatic_tax",
        "allowed_payment_method_types",
        "billing_address_collection",
        "branding_settings",
        "cancel_url",
        "client_reference_id",
        "consent_collection",
        "currency",
        "custom_fields",
        "custom_text",
        "customer",
        "customer_account",
        "customer_creation",
        "customer_email",
        "customer_update",
        "discounts",
        "excluded_payment_method_types",
        "expand",
        "expires_at",
        "integration_identifier",
        "invoice_creation",
        "line_items",
        "locale",
        "managed_payments",
        "metadata",
        "mode",
        "name_collection",
        "optional_items",
        "origin_context",
        "payment_intent_data",
        "payment_method_collection",
        "payment_method_configuration",
        "payment_method_data",
        "payment_method_options",
        "permissions",
        "phone_number_collection",
        "return_url",
        "redirect_on_completion",
        "saved_payment_method_options",
        "setup_intent_data",
        "shipping_address_collection",
        "shipping_options",
        "submit_type",
        "subscription_data",
        "success_url",
        "tax_id_collection",
        "ui_mode",
        "wallet_options",
    ]
)
_ITEM = frozenset(
    ["adjustable_quantity", "metadata", "price", "price_data", "quantity"]
)
_PRICE = frozenset(
    [
        "currency",
        "product",
        "product_data",
        "recurring",
        "tax_behavior",
        "unit_amount",
        "unit_amount_decimal",
    ]
)
_INTENT = frozenset(
    [
        "application_fee_amount",
        "capture_method",
        "description",
        "metadata",
        "on_behalf_of",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ]
)
REFUND = frozenset(
    [
        "amount",
        "charge",
        "currency",
        "customer",
        "expand",
        "instructions_email",
        "metadata",
        "origin",
        "payment_intent",
        "reason",
        "refund_application_fee",
        "reverse_transfer",
    ]
)
_PAGE = ("ending_before", "expand", "limit", "starting_after")
LIST = frozenset((*_PAGE, "charge", "created", "payment_intent"))
SESSIONS = frozenset(
    (*_PAGE, "created", "customer", "payment_intent", "payment_link", "status")
)
EVENTS = frozenset((*_PAGE, "created", "delivery_success", "type", "types"))
ENDPOINTS = frozenset(_PAGE)
RETRIEVE = frozenset(("expand",))


def check(params: Json, known: Collection[str], where: str = "") -> None:
    """Refuse the first parameter unknown to the endpoint."""
    for name in params:
        if name not in known:
            full = f"{where}[{name}]" if where else name
            invalid(f"Received unknown parameter: {full}", full, "parameter_unknown")


def check_session(params: Json) -> None:
    """Refuse parameters that Stripe does not accept for a checkout session."""
    check(params, _SESSION)
    check(_object(params.get("payment_intent_data")), _INTENT, "payment_intent_data")
    items = params.get("line_items")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        where = f"line_items[{number}]"
        check(_object(item), _ITEM, where)
        price = _object(_object(item).get("price_data"))
        check(price, _PRICE, f"{where}[price_data]")
    for name in ("success_url", "cancel_url"):
        url = params.get(name)
        if url is not None and not _is_url(str(url)):
            invalid("Not a valid URL", name, "url_invalid")
    email = params.get("customer_email")
    if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(email)):
        invalid(f"Invalid email address: {email}", "customer_email", "email_invalid")


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text.replace("{CHECKOUT_SESSION_ID}", "x"))
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
