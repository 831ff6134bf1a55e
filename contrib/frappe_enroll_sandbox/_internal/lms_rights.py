# SPDX-License-Identifier: MIT
"""Which role may do what on a Frappe LMS 2.61 site, as measured."""

from __future__ import annotations

from typing import Any

from .lms_doctypes import (
    ADDRESS,
    BATCH,
    BATCH_ENROLLMENT,
    CERTIFICATE,
    COUNTRY,
    COURSE,
    ENROLLMENT,
    PAYMENT,
    PROGRAM,
    PROGRAM_COURSE,
    PROGRAM_MEMBER,
    SOURCE,
    USER,
)


Roles = frozenset[str]

_MODERATOR, _SYSTEM, _CREATOR = "Moderator", "System Manager", "Course Creator"
_EVALUATOR, _STUDENT = "Batch Evaluator", "LMS Student"
#: Roles that may enroll others in paid, unpublished and closed courses.
PRIVILEGED: Roles = frozenset({_MODERATOR, _CREATOR, _EVALUATOR})
ENROLLING_IN_BATCHES: Roles = frozenset({_MODERATOR, _EVALUATOR})
#: Roles that may create users and record payments.
MANAGING: Roles = frozenset({_MODERATOR, _SYSTEM})
#: Roles that see every enrolment; others only see their own, or none.
SEEING: Roles = frozenset({_MODERATOR, _SYSTEM, _CREATOR})
_ALL: Roles = SEEING | {_EVALUATOR, _STUDENT}
_ONE: Roles = frozenset({_MODERATOR})

_CREATE: dict[str, Roles] = {
    ENROLLMENT: _ALL,
    USER: MANAGING,
    PAYMENT: MANAGING,
    ADDRESS: MANAGING,
    CERTIFICATE: _ONE,
    BATCH_ENROLLMENT: _ALL,
}
_WRITE: dict[str, Roles] = {
    ENROLLMENT: SEEING,
    BATCH_ENROLLMENT: ENROLLING_IN_BATCHES,
}
_DELETE: dict[str, Roles] = {
    ENROLLMENT: SEEING,
    COURSE: SEEING,
    BATCH_ENROLLMENT: MANAGING | {_EVALUATOR},
}
#: By doctype: who may list it at all, and who sees all rows.
_LIST: dict[str, Roles] = {
    COURSE: SEEING,
    PAYMENT: MANAGING,
    ADDRESS: MANAGING,
    BATCH: _ALL,
    PROGRAM: _ALL,
    PROGRAM_COURSE: _ALL,
    PROGRAM_MEMBER: _ALL,
}
_SEE: dict[str, Roles] = {
    ENROLLMENT: SEEING,
    USER: SEEING,
    CERTIFICATE: _ONE,
    BATCH_ENROLLMENT: MANAGING | {_EVALUATOR},
}
_READ: dict[str, Roles] = {
    USER: SEEING | {_EVALUATOR},
    COURSE: SEEING,
    ENROLLMENT: SEEING,
    SOURCE: _ALL,
    COUNTRY: _ALL,
}


def has(role: str, roles: Roles) -> bool:
    """Tell whether a user of this role (several with " + ") has one of `roles`."""
    return not roles.isdisjoint(role.split(" + "))


def may_create(role: str, doctype: str) -> bool:
    """Tell whether a document may be created; the doctype's rules come after that."""
    return has(role, _CREATE.get(doctype, frozenset()))


def may_write(role: str, doctype: str) -> bool:
    """Tell whether documents may be changed."""
    return has(role, _WRITE.get(doctype, MANAGING))


def may_delete(role: str, doctype: str) -> bool:
    """Tell whether documents may be deleted."""
    return has(role, _DELETE.get(doctype, MANAGING))


def may_list(role: str, doctype: str) -> bool:
    """Tell whether a list may be read; it may still be empty."""
    return has(role, _LIST.get(doctype, _ALL))


def may_see(role: str, doctype: str, row: dict[str, Any], user: str) -> bool:
    """Tell whether a row appears in a user's lists."""
    mine = user in (row.get("member"), row.get("name"))
    return mine or has(role, _SEE.get(doctype, _ALL))


def may_read(role: str, doctype: str, row: dict[str, Any], user: str) -> bool:
    """Tell whether a user may read a document."""
    mine = user in (row.get("member"), row.get("name"))
    return mine or has(role, _READ.get(doctype, _SEE.get(doctype, MANAGING)))
