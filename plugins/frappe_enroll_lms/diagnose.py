# SPDX-License-Identifier: MIT
"""What the LMS key may do, tried right by right; nothing stays written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from frappe_enroll_sdk.checks import Check
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    BackendRejectedError,
    ThrottledError,
)

from .fence import RefusedStatusError


if TYPE_CHECKING:
    from .selling import Books

_NOT_FOUND = 404

_MODERATOR = "give the key's user the role Moderator in Frappe"
_BLOCKED = (
    "the site's setting `block_endpoints` keeps everybody but System Users from it"
)
_WHO = "lms.lms.api.get_user_info"
_COUNT = "frappe.client.get_count"
#: Frappe refuses this for its content, but only after checking the permission.
_NO_ADDRESS = {
    "doctype": "User",
    "email": "frappe-enroll-check",
    "first_name": "Check",
    "send_welcome_email": 0,
}
#: What is read before a row is removed, and what for.
_READ = {
    "LMS Certificate": "certificates protect a row from being removed",
    "LMS Batch Enrollment": "batches protect a row from being removed",
    "User": "learners are looked up",
}


def diagnose(
    session: Any, url: str, *, creates_users: bool, books: Books | None
) -> Iterator[Check]:
    """Yield the findings; raises like any call when the LMS is down."""
    blocked = _is_blocked(session, url)
    if blocked is not None:
        yield blocked
        return
    yield _role(session, url)
    for doctype, why in _READ.items():
        path, one = f"{url}/api/resource/{doctype}", {"limit_page_length": 1}
        yield _try(f"{doctype}: read", why, partial(session.get, path, params=one))
    if creates_users:
        body = {"data": json.dumps(_NO_ADDRESS)}
        yield _try(
            "User: create",
            "learners without an account get one (FRAPPE_ENROLL_MISSING_LEARNERS)",
            lambda: session.post(f"{url}/api/resource/User", data=body),
        )
    if books is not None:
        body = {"data": json.dumps({"doctype": "LMS Payment"})}
        yield _try(
            "LMS Payment: create",
            "sales are recorded (FRAPPE_ENROLL_RECORD_PAYMENT)",
            lambda: session.post(f"{url}/api/resource/LMS Payment", data=body),
        )
        for doctype, name, setting in books.links:
            yield _named(session, url, doctype, name, setting)


def _named(session: Any, url: str, doctype: str, name: str, setting: str) -> Check:
    """
    Return whether there is what each recorded sale names.

    Frappe would refuse the sale, after the money: tables of countries change.
    """
    check = f"lms books: {doctype}"
    try:
        session.get(f"{url}/api/resource/{doctype}/{quote(name, safe='')}")
    except RefusedStatusError as error:
        if error.status == _NOT_FOUND:
            return Check(
                name=check,
                state="missing",
                cause=f"the site knows no {doctype} {name}: each sale would be refused",
                mend=f"{setting}: name one as the site does",
            )
    except BackendRefusedError:
        cause = f"the key may not look at {doctype} documents"
        return Check(name=check, state="unknown", cause=cause)
    return Check(name=check)


def _is_blocked(session: Any, url: str) -> Check | None:
    """Tell whether the key's user may call methods but not access documents."""
    try:
        session.get(
            f"{url}/api/resource/LMS Enrollment", params={"limit_page_length": 1}
        )
    except BackendRefusedError:
        params = {"doctype": "LMS Enrollment"}
        try:
            session.get(f"{url}/api/method/{_COUNT}", params=params)
        except (BackendRefusedError, BackendRejectedError):
            return None
        return Check(
            name="lms access",
            state="blocked",
            cause=_BLOCKED,
            mend="make the key's user a System User (System Manager and Moderator)",
        )
    return None


def _role(session: Any, url: str) -> Check:
    """Check by its roles whether the key may enroll in paid and closed courses."""
    try:
        told = session.get(f"{url}/api/method/{_WHO}").json().get("message")
    except (BackendRefusedError, BackendRejectedError):
        told = None
    roles = told.get("roles") if isinstance(told, dict) else None
    if not isinstance(roles, list):
        return Check(
            name="lms role",
            state="unknown",
            cause="the LMS does not reveal the key's roles",
        )
    if "Moderator" in roles:
        return Check(name="lms role")
    has = ", ".join(map(str, roles)) or "no role"
    return Check(
        name="lms role",
        state="lacking",
        cause=f"the key's user is not a Moderator ({has}): paid and closed courses are "
        "refused, or rows and certificates not seen",
        mend=_MODERATOR,
    )


def _try(right: str, why: str, attempt: Callable[[], object]) -> Check:
    name = f"lms right: {right}"
    try:
        attempt()
    except BackendRefusedError:
        cause = f"the key may not, and {why}"
        return Check(name=name, state="forbidden", cause=cause, mend=_MODERATOR)
    except (BackendRejectedError, ThrottledError):
        pass  # refused for its content, after the permission check
    return Check(name=name)
