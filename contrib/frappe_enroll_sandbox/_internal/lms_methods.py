# SPDX-License-Identifier: MIT
"""The methods of Frappe and the LMS that a client of enrolments may call; no HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .lms_doctypes import Json, shown
from .lms_lists import cut
from .lms_model import LMSSite
from .refusals import FrappeRefusal, forbidden


#: Existing methods of the LMS that may not be called from outside.
_CLOSED = frozenset({"lms.lms.utils.enroll_in_course"})
WHOAMI, PING = "frappe.auth.get_logged_user", "ping"


def call(site: LMSSite, method: str, told: Json) -> Json:
    """Return the body of a method's answer."""
    if method in site.methods:
        return {"message": site.methods[method](told)}
    if method in _CLOSED:
        raise forbidden()
    known = _METHODS.get(method)
    if known is None:
        message = f"Failed to get method for command {method}"
        raise FrappeRefusal(417, "ValidationError", message)
    return known(site, told)


def _whoami(site: LMSSite, _: Json) -> Json:
    return {"message": site.user}


def _user_info(site: LMSSite, _: Json) -> Json:
    roles = [*site.role.split(" + "), "All", "Guest"]
    return {
        "message": {
            "name": site.user,
            "email": site.user,
            "enabled": int(site.user_enabled),
            "user_image": None,
            "full_name": site.user.partition("@")[0],
            "user_type": "System User" if _is_system(site) else "Website User",
            "username": site.user.partition("@")[0],
            "bio": None,
            "headline": None,
            "roles": roles,
            "is_instructor": "Course Creator" in roles,
            "is_moderator": "Moderator" in roles,
            "is_evaluator": "Batch Evaluator" in roles,
            "is_student": roles[0] == "LMS Student",
            "is_fc_site": 0,
            "is_system_manager": _is_system(site),
            "sitename": "lms.localhost",
            "developer_mode": None,
        }
    }


def _is_system(site: LMSSite) -> bool:
    return "System Manager" in site.role.split(" + ")


def _rows(site: LMSSite, told: Json) -> list[Json]:
    filters, parent = _parsed(told.get("filters") or []), told.get("parent")
    order_by = told.get("order_by")
    return site.list_documents(str(told["doctype"]), filters, order_by, parent)


def _count(site: LMSSite, told: Json) -> Json:
    return {"message": len(_rows(site, told))}


def _list(site: LMSSite, told: Json) -> Json:
    fields = _parsed(told.get("fields") or ["name"])
    length = int(told.get("limit_page_length") or 20)
    return {"message": cut(str(told["doctype"]), _rows(site, told)[:length], fields)}


def _value(site: LMSSite, told: Json) -> Json:
    fields = _parsed(told.get("fieldname") or "name")
    names = [fields] if isinstance(fields, str) else fields
    found = cut(str(told["doctype"]), _rows(site, told)[:1], names)
    return {"message": found[0] if found else {}}


def _get(site: LMSSite, told: Json) -> Json:
    doctype = str(told["doctype"])
    row = site.read(doctype, str(told["name"]))
    return {"message": shown(doctype, row, nulls=True)}


def _insert(site: LMSSite, told: Json) -> Json:
    doc = _parsed(told.get("doc") or {})
    doctype = str(doc.get("doctype"))
    return {"message": shown(doctype, site.insert(doctype, doc), nulls=True)}


def _insert_many(site: LMSSite, told: Json) -> Json:
    docs = _parsed(told.get("docs") or [])
    with site.lock:
        # One transaction: if one is refused, all are rolled back.
        before = {name: dict(table) for name, table in site.tables.items()}
        try:
            made = [site.insert(str(doc["doctype"]), doc)["name"] for doc in docs]
        except FrappeRefusal:
            site.tables.update(before)
            raise
    return {"message": made}


def _delete(site: LMSSite, told: Json) -> Json:
    site.delete(str(told["doctype"]), str(told["name"]))
    return {}


def _parsed(value: Any) -> Any:
    """Return a parameter that may be given as JSON text."""
    if not isinstance(value, str) or not value.startswith(("[", "{")):
        return value
    return parse(value)


def parse(text: str) -> Any:
    """Parse JSON, or refuse as Frappe does."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise FrappeRefusal(500, "JSONDecodeError", "") from error


_METHODS: dict[str, Callable[[LMSSite, Json], Json]] = {
    WHOAMI: _whoami,
    "lms.lms.api.get_user_info": _user_info,
    "frappe.client.get_count": _count,
    "frappe.client.get_list": _list,
    "frappe.client.get_value": _value,
    "frappe.client.get": _get,
    "frappe.client.insert": _insert,
    "frappe.client.insert_many": _insert_many,
    "frappe.client.delete": _delete,
}
