# SPDX-License-Identifier: MIT
"""The doctypes of a Frappe LMS 2.61 site: their fields, and what a new one holds."""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

ENROLLMENT, COURSE, USER = "LMS Enrollment", "LMS Course", "User"
PAYMENT, ADDRESS, CERTIFICATE = "LMS Payment", "Address", "LMS Certificate"
BATCH, BATCH_ENROLLMENT = "LMS Batch", "LMS Batch Enrollment"
PROGRAM = "LMS Program"
SOURCE, COUNTRY = "LMS Source", "Country"
PROGRAM_COURSE, PROGRAM_MEMBER = "LMS Program Course", "LMS Program Member"

#: Fields that every document has.
COMMON: Json = {
    "name": None,
    "owner": None,
    "creation": None,
    "modified": None,
    "modified_by": None,
    "docstatus": 0,
    "idx": 0,
}
#: Rows of child tables name their parent; listing them requires its doctype.
_CHILD: Json = {"parent": None, "parentfield": None, "parenttype": None}
CHILDREN = frozenset({PROGRAM_COURSE, PROGRAM_MEMBER})
FIELDS: dict[str, Json] = {
    ENROLLMENT: {
        "course": None,
        "progress": 0.0,
        "payment": None,
        "current_lesson": None,
        "enrollment_from_batch": None,
        "member": None,
        "member_name": None,
        "member_username": None,
        "member_image": None,
        "purchased_certificate": 0,
        "certificate": None,
        "member_type": "Student",
        "role": "Member",
    },
    COURSE: {
        "title": None,
        "status": "Approved",
        "card_gradient": "Purple",
        "published": 0,
        "published_on": None,
        "upcoming": 0,
        "featured": 0,
        "disable_self_learning": 0,
        "short_introduction": "",
        "description": "",
        "paid_course": 0,
        "paid_certificate": 0,
        "enable_certification": 0,
        "course_price": 0.0,
        "currency": None,
        "amount_usd": 0.0,
        "enrollments": 0,
        "lessons": 0,
        "notification_sent": 0,
    },
    USER: {
        "enabled": 1,
        "email": None,
        "first_name": None,
        "last_name": None,
        "full_name": None,
        "username": None,
        "user_type": "Website User",
        "language": "en",
        "time_zone": "UTC",
        "send_welcome_email": 0,
        "last_active": None,
    },
    PAYMENT: {
        "member": None,
        "billing_name": None,
        "source": None,
        "payment_for_document_type": None,
        "payment_for_document": None,
        "payment_received": 0,
        "payment_for_certificate": 0,
        "member_consent": 0,
        "original_amount": 0.0,
        "discount_amount": 0.0,
        "amount": 0.0,
        "amount_with_gst": 0.0,
        "currency": None,
        "coupon": None,
        "coupon_code": None,
        "address": None,
        "payment_id": None,
        "order_id": None,
    },
    ADDRESS: {
        "address_title": None,
        "address_type": "Billing",
        "address_line1": None,
        "city": None,
        "country": None,
        "email_id": None,
        "is_primary_address": 0,
        "is_shipping_address": 0,
        "disabled": 0,
    },
    CERTIFICATE: {
        "member": None,
        "member_name": None,
        "course": None,
        "issue_date": None,
        "template": None,
        "published": 0,
        "batch_name": None,
    },
    BATCH: {
        "published": 1,
        "title": None,
        "start_date": "2027-01-11",
        "end_date": "2027-03-12",
        "seat_count": 0,
        "paid_batch": 0,
        "amount": 0.0,
        "currency": None,
    },
    BATCH_ENROLLMENT: {
        "member": None,
        "member_name": None,
        "member_username": None,
        "batch": None,
        "payment": None,
        "source": None,
        "confirmation_email_sent": 0,
    },
    SOURCE: {"source": None},
    COUNTRY: {"country_name": None, "code": None},
    PROGRAM: {"title": None, "published": 0, "course_count": 0, "member_count": 0},
    PROGRAM_COURSE: {"course": None, "course_title": None, **_CHILD},
    PROGRAM_MEMBER: {"member": None, "full_name": None, "progress": 0, **_CHILD},
}
#: Doctypes whose names are compared without case. MariaDB does so for all; random names
#: are lower-case anyway.
NAMED = frozenset({COURSE, USER, BATCH, SOURCE, COUNTRY})


def columns_of(doctype: str) -> frozenset[str]:
    """Return the names of all fields of a doctype."""
    return frozenset({*COMMON, *FIELDS[doctype]})


def key_of(doctype: str, name: str) -> str:
    """Return a document's key in its table."""
    return name.lower() if doctype in NAMED else name


def shown(doctype: str, row: Json, *, nulls: bool = False) -> Json:
    """Return a document as Frappe shows it, without null fields."""
    told = {
        name: value
        for name, value in {**COMMON, **FIELDS[doctype], **row}.items()
        if not name.startswith("_") and (nulls or value is not None)
    }
    return told | {"doctype": doctype}
