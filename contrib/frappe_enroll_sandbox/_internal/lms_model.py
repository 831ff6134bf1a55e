# SPDX-License-Identifier: MIT
"""The data and rules of a Frappe LMS site, without HTTP."""

from __future__ import annotations

import random
import re
import string
import threading
from typing import Any

from frappe_enroll_sdk.clock import Clock

from .lms_selling import ADDRESS, PAYMENT, Method, check_sale, has_paid
from .refusals import FrappeRefusal


Json = dict[str, Any]

ENROLLMENT, COURSE, USER = "LMS Enrollment", "LMS Course", "User"
#: Roles that see every enrolment; others see their own or none.
SEEING = frozenset({"Moderator", "System Manager", "Course Creator"})
INSERTING = SEEING | {"Batch Evaluator", "LMS Student"}
#: Roles that may enroll others in paid, unpublished and closed courses.
PRIVILEGED = frozenset({"Moderator", "Course Creator", "Batch Evaluator"})
#: Roles that may create users and record payments.
MANAGING = frozenset({"Moderator", "System Manager"})
_MEMBER_TYPES = frozenset({"Student", "Mentor", "Staff"})
_LONGEST = 140


class LMSSite:
    """
    Courses, users and enrolments of one site. Thread-safe.

    Attributes:
        duplicates: "accepted" (Frappe 15) or "refused" (newer).
        role: Role of the API user ("System Manager" = without Moderator); " + "
            separates several.
        user: The API user, as in ``modified_by`` of its rows.
        throttle: New users per hour; None = unlimited.
        deadlocks: Whether more than two users created at once deadlock.
        methods: The site's own whitelisted methods by dotted path.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.duplicates = "accepted"
        self.role = "Moderator"
        self.user = "api@example.com"
        self.throttle: int | None = None
        self.deadlocks = False
        self.methods: dict[str, Method] = {}
        self.tables: dict[str, dict[str, Json]] = {
            name: {} for name in (ENROLLMENT, COURSE, USER, PAYMENT, ADDRESS)
        }
        self._creating = threading.Semaphore(2)
        self._dice = random.Random()  # noqa: S311  not used for secrets
        self._count = 0

    def _stamp(self) -> str:
        self._count += 1
        moment = self.clock.now().replace(microsecond=self._count % 1_000_000)
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f")

    def add_course(
        self,
        name: str,
        price: float | None = None,
        currency: str | None = None,
        *,
        title: str | None = None,
        published: bool = True,
        disable_self_learning: bool = False,
    ) -> Json:
        """Add a course to the catalogue."""
        course = {
            "doctype": COURSE,
            "name": name,
            "title": title or name.replace("-", " ").title(),
            "published": int(published),
            "paid_course": int(price is not None),
            "disable_self_learning": int(disable_self_learning),
            "course_price": price or 0.0,
            "currency": currency.upper() if currency else None,
        }
        self.tables[COURSE][name.lower()] = course
        return course

    def add_user(self, email: str, first_name: str = "Learner") -> Json:
        """Add a user."""
        name = email.strip().lower()
        user = {
            "doctype": USER,
            "name": name,
            "email": name,
            "first_name": first_name,
            "full_name": first_name,
            "enabled": 1,
            "_at": self.clock.now().timestamp(),
        }
        self.tables[USER][name] = user
        return user

    def enrollments(
        self, member: str | None = None, course: str | None = None
    ) -> list[Json]:
        """Return rows, oldest first."""
        with self.lock:
            return [
                row
                for row in self.tables[ENROLLMENT].values()
                if member in (None, row["member"]) and course in (None, row["course"])
            ]

    def find(self, doctype: str, name: str) -> Json:
        """Return a document by its case-insensitive name, or refuse with 404."""
        with self.lock:
            found = self.tables[doctype].get(_key(doctype, name))
        if found is None:
            message = f"{doctype} {name} not found"
            raise FrappeRefusal(404, "DoesNotExistError", message)
        return found

    def insert(self, doctype: str, fields: Json) -> Json:
        """Insert a document under the rules of its doctype."""
        self._require(INSERTING if doctype == ENROLLMENT else MANAGING)
        if doctype == USER:
            return self._insert_user(fields)
        if doctype == ENROLLMENT:
            return self._insert_enrollment(fields)
        if doctype in (PAYMENT, ADDRESS):
            return self._insert_sale(doctype, fields)
        raise FrappeRefusal(403, "PermissionError", f"No permission for {doctype}")

    def _insert_sale(self, doctype: str, fields: Json) -> Json:
        with self.lock:
            check_sale(self.tables, doctype, fields)
            row = fields | {"name": self._new_name(), "creation": self._stamp()}
            self.tables[doctype][row["name"]] = row
            return row

    def may_read(self, doctype: str) -> None:
        """Refuse doctypes that the API user's role may not read."""
        if doctype == COURSE:
            self._require(SEEING)
        elif doctype == USER:
            self._require(SEEING | {"Batch Evaluator"})

    def _has(self, roles: frozenset[str] | set[str]) -> bool:
        return not roles.isdisjoint(self.role.split(" + "))

    def _require(self, roles: frozenset[str] | set[str]) -> None:
        if not self._has(roles):
            raise FrappeRefusal(403, "PermissionError", "No permission")

    def _insert_user(self, fields: Json) -> Json:
        email = str(fields.get("email") or "").strip().lower()
        if not email or not fields.get("first_name"):
            # Real sites never answer; this one says why.
            raise FrappeRefusal(500, "TypeError", "first_name and email are needed")
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
            raise FrappeRefusal(417, "InvalidEmailAddressError", "not an e-mail")
        if not self._creating.acquire(blocking=not self.deadlocks):
            raise FrappeRefusal(500, "QueryDeadlockError", "Deadlock found")
        try:
            with self.lock:
                self._check_throttle()
                if email in self.tables[USER]:
                    raise FrappeRefusal(409, "DuplicateEntryError", "exists")
                return self.add_user(email, str(fields["first_name"]))
        finally:
            self._creating.release()

    def _check_throttle(self) -> None:
        hour_ago = self.clock.now().timestamp() - 3600
        recent = [u for u in self.tables[USER].values() if u["_at"] > hour_ago]
        if self.throttle is not None and len(recent) >= self.throttle:
            raise FrappeRefusal(417, "ValidationError", "Throttled")

    def _insert_enrollment(self, fields: Json) -> Json:
        member, course = fields.get("member"), fields.get("course")
        if not member:
            raise FrappeRefusal(417, "MandatoryError", "member")
        if not course:
            raise FrappeRefusal(500, "AttributeError", "NoneType has no attribute")
        _check_values(fields)
        with self.lock:
            found = self.tables[COURSE].get(str(course).lower())
            if found is None:
                message = f"Could not find Course: {course}"
                raise FrappeRefusal(417, "LinkValidationError", message)
            user = self.tables[USER].get(str(member).strip().lower())
            name = user["name"] if user else str(member)
            self._check_eligible(name, found)
            if self.duplicates == "refused" and self.enrollments(name, found["name"]):
                message = "Student is already enrolled in this course."
                raise FrappeRefusal(417, "ValidationError", message)
            return self._new_row(name, found["name"], fields)

    def _check_eligible(self, member: str, course: Json) -> None:
        free = course["published"] and not course["paid_course"]
        if free and not course["disable_self_learning"]:
            return
        if self._has(PRIVILEGED) or has_paid(self.tables, member, course["name"]):
            return
        raise FrappeRefusal(417, "ValidationError", "not published, or not paid")

    def _new_name(self) -> str:
        letters = string.ascii_lowercase + string.digits
        return "".join(self._dice.choice(letters) for _ in range(10))

    def _new_row(self, member: str, course: str, fields: Json) -> Json:
        name, stamp = self._new_name(), self._stamp()
        row = {
            "doctype": ENROLLMENT,
            "name": name,
            "owner": member,
            "creation": stamp,
            "modified": stamp,
            "modified_by": self.user,
            "member": member,
            "course": course,
            "progress": float(fields.get("progress") or 0.0),
            "member_type": fields.get("member_type") or "Student",
            "enrollment_from_batch": fields.get("enrollment_from_batch"),
            "certificate": fields.get("certificate"),
            "payment": fields.get("payment"),
        }
        self.tables[ENROLLMENT][name] = row
        return row

    def delete(self, doctype: str, name: str) -> None:
        """Delete a document, or refuse with 404."""
        self._require(SEEING)
        with self.lock:
            if self.tables[doctype].pop(_key(doctype, name), None) is None:
                raise FrappeRefusal(404, "DoesNotExistError", "")

    def list_documents(
        self, doctype: str, filters: list[list[Any]], order_by: str | None
    ) -> list[Json]:
        """Return matching documents; without the right to see them, none."""
        if doctype == ENROLLMENT and not self._has(SEEING):
            if self.role == "none":
                raise FrappeRefusal(403, "PermissionError", "No permission")
            return []
        with self.lock:
            rows = [
                row
                for row in self.tables[doctype].values()
                if all(_fits(row, condition) for condition in filters)
            ]
        field, _, direction = (order_by or "name asc").partition(" ")
        rows.sort(key=lambda row: str(row.get(field)), reverse=direction == "desc")
        return rows


def _check_values(fields: Json) -> None:
    if (fields.get("member_type") or "Student") not in _MEMBER_TYPES:
        raise FrappeRefusal(417, "ValidationError", "Member Type cannot be that")
    if any(len(str(fields[name])) > _LONGEST for name in ("member", "course")):
        raise FrappeRefusal(417, "CharacterLengthExceededError", "too long")


def _key(doctype: str, name: str) -> str:
    # MariaDB compares names case-insensitively; random ones are lower-case anyway.
    return name.strip().lower() if doctype in (COURSE, USER) else name


def _fits(row: Json, condition: list[Any]) -> bool:
    field, operator, value = condition[-3:]
    if field not in row and field != "name":
        raise FrappeRefusal(417, "DataError", f"Unknown column {field}")
    mine = row.get(field)
    if operator == "=":
        return str(mine).lower() == str(value).lower()
    if operator == ">":
        return str(mine) > str(value)
    raise FrappeRefusal(417, "DataError", f"Unknown operator {operator}")
