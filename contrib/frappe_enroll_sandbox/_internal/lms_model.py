# SPDX-License-Identifier: MIT
"""The data and rules of a Frappe LMS site, without HTTP."""

from __future__ import annotations

import random
import re
import string
import threading
from typing import Any

from frappe_enroll_sdk.clock import Clock

from . import lms_rights as rights
from .lms_doctypes import (
    BATCH,
    BATCH_ENROLLMENT,
    CERTIFICATE,
    CHILDREN,
    COUNTRY,
    COURSE,
    ENROLLMENT,
    FIELDS,
    PAYMENT,
    PROGRAM,
    PROGRAM_COURSE,
    PROGRAM_MEMBER,
    SOURCE,
    USER,
    Json,
    columns_of,
    key_of,
)
from .lms_lists import select
from .lms_selling import SOURCES, Method, check_sale, has_paid
from .refusals import FrappeRefusal, forbidden


_MEMBER_TYPES = frozenset({"Student", "Mentor", "Staff"})
_LONGEST = 140
#: Frappe's pattern for addresses (frappe.utils, EMAIL_MATCH_PATTERN).
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}", re.IGNORECASE)
_NEWER = 16
#: Links that prevent deletion: doctype, field, and the doctype it refers to.
_LINKS = (
    (ENROLLMENT, "member", USER),
    (ENROLLMENT, "course", COURSE),
    (ENROLLMENT, "payment", PAYMENT),
    (CERTIFICATE, "member", USER),
    (BATCH_ENROLLMENT, "batch", BATCH),
)


class LMSSite:
    """
    One site's courses, users, enrolments and related documents. Thread-safe.

    Attributes:
        frappe: Major version of Frappe: 15, or a newer one (see `become_newer`).
        is_older: Whether the LMS is 2.42 instead of 2.61 (see `become_older`).
        duplicates: "accepted" (Frappe 15) or "refused" (newer).
        role: Role of the API user ("System Manager" = without Moderator); " + "
            separates several.
        user: The API user, as in ``modified_by`` of its rows.
        user_enabled: Whether the API user is enabled.
        blocks_endpoints: Whether documents are closed to all but System Users (a
            setting of the LMS, ``block_endpoints``).
        throttle: New users per hour; None = unlimited.
        deadlocks: Whether more than two users created at once deadlock.
        methods: The site's own whitelisted methods by dotted path.
        tables: The documents by doctype and name.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.frappe = 15
        self.is_older = False
        self.duplicates = "accepted"
        self.role = "Moderator"
        self.user = "api@example.com"
        self.user_enabled = True
        self.blocks_endpoints = False
        self.throttle: int | None = None
        self.deadlocks = False
        self.methods: dict[str, Method] = {}
        self.tables: dict[str, dict[str, Json]] = {name: {} for name in FIELDS}
        self._creating = threading.Semaphore(2)
        self._dice = random.Random()  # noqa: S311  not used for secrets
        self._count = 0
        for source in SOURCES:
            self._put(SOURCE, source, {"source": source})
        for country in ("Germany", "India", "United Kingdom", "United States"):
            self._put(COUNTRY, country, {"country_name": country})

    def become_newer(self) -> None:
        """Keep the rules of Frappe 17 instead of those of 15."""
        self.frappe, self.duplicates = 17, "refused"

    def become_older(self) -> None:
        """
        Keep the rules of LMS 2.42 (on Frappe 15) instead of those of 2.61.

        Duplicates are refused, whoever may enroll somebody may do it in any course, and
        a row's owner is who made it.
        """
        self.is_older, self.duplicates = True, "refused"

    @property
    def is_newer(self) -> bool:
        """Whether the site runs a Frappe that is newer than 15."""
        return self.frappe >= _NEWER

    def _stamp(self) -> str:
        self._count += 1
        moment = self.clock.now().replace(microsecond=self._count % 1_000_000)
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f")

    def _new_name(self) -> str:
        letters = string.ascii_lowercase + string.digits
        return "".join(self._dice.choice(letters) for _ in range(10))

    def _put(self, doctype: str, name: str, fields: Json, owner: str = "") -> Json:
        """Write a new document; fields that the doctype does not have are dropped."""
        with self.lock:
            stamp = self._stamp()
            known = {k: v for k, v in fields.items() if k in FIELDS[doctype]}
            row = FIELDS[doctype] | known
            row |= {"doctype": doctype, "name": name, "docstatus": 0, "idx": 0}
            row |= {"owner": owner or self.user, "modified_by": self.user}
            row |= {"creation": stamp, "modified": stamp}
            row |= {k: v for k, v in fields.items() if k.startswith("_")}
            self.tables[doctype][key_of(doctype, name)] = row
            return row

    # Keep values that are already there.

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
        fields = {
            "title": title or name.replace("-", " ").title(),
            "published": int(published),
            "published_on": f"{self.clock.now():%Y-%m-%d}" if published else None,
            "paid_course": int(price is not None),
            "disable_self_learning": int(disable_self_learning),
            "course_price": price or 0.0,
            "currency": currency.upper() if currency else None,
        }
        return self._put(COURSE, name, fields)

    def add_user(self, email: str, first_name: str = "Learner", **more: Any) -> Json:
        """Add a user."""
        name = email.strip().lower()
        fields = {
            "email": name,
            "first_name": first_name,
            "full_name": " ".join(filter(None, (first_name, more.get("last_name")))),
            "username": re.sub(r"\W", "", name.partition("@")[0]),
            "_at": self.clock.now().timestamp(),
        }
        return self._put(USER, name, fields | more)

    def add_certificate(self, member: str, course: str) -> Json:
        """Give a learner a certificate for a course: a document of its own."""
        fields = {"member": member, "course": course, "template": "Certificate"}
        return self._put(CERTIFICATE, self._new_name(), fields)

    def add_batch(self, name: str, *courses: str, **more: Any) -> Json:
        """Add a batch of courses."""
        rows = [{"course": course} for course in courses]
        fields = {"title": name.title(), "_Batch Course": rows}
        return self._put(BATCH, name, fields | more)

    def add_program(self, title: str, *courses: str, members: Any = ()) -> Json:
        """Add a program of courses, and its members."""
        program = self._put(PROGRAM, title, {"title": title, "published": 1})
        child = {"parent": title, "parenttype": PROGRAM}
        for course in courses:
            row = child | {"course": course, "parentfield": "program_courses"}
            self._put(PROGRAM_COURSE, self._new_name(), row)
        for member in members:
            row = child | {"member": member, "parentfield": "program_members"}
            self._put(PROGRAM_MEMBER, self._new_name(), row)
        return program

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

    # Actions of a caller with the API user's permissions.

    def find(self, doctype: str, name: str) -> Json:
        """Return a document by its case-insensitive name, or refuse with 404."""
        with self.lock:
            found = self.tables[doctype].get(key_of(doctype, name))
        if found is None:
            message = f"{doctype} {name} not found"
            raise FrappeRefusal(404, "DoesNotExistError", message)
        return found

    def read(self, doctype: str, name: str) -> Json:
        """Return a document that the API user may read."""
        row = self.find(doctype, name)
        if not rights.may_read(self.role, doctype, row, self.user):
            raise forbidden()
        return row

    def insert(self, doctype: str, fields: Json) -> Json:
        """Insert a document under the rules of its doctype."""
        if not rights.may_create(self.role, doctype):
            raise forbidden(told=True)
        inserts = {
            USER: self._insert_user,
            ENROLLMENT: self._insert_enrollment,
            BATCH_ENROLLMENT: self._insert_batch_row,
            CERTIFICATE: self._insert_certificate,
        }
        if doctype in inserts:
            return inserts[doctype](fields)
        with self.lock:
            check_sale(self.tables, doctype, fields)
            return self._put(doctype, self._new_name(), fields)

    def update(self, doctype: str, name: str, fields: Json) -> Json:
        """Change a document; fields that the doctype does not have are dropped."""
        with self.lock:
            row = self.find(doctype, name)
            if not rights.may_write(self.role, doctype):
                raise forbidden(told=True)
            if fields.get("modified") not in (None, row["modified"]):
                message = "Document has been modified after you have opened it"
                raise FrappeRefusal(417, "TimestampMismatchError", message)
            self._check_seats(doctype, row, fields)
            row |= {k: v for k, v in fields.items() if k in FIELDS[doctype]}
            row |= {"modified": self._stamp(), "modified_by": self.user}
            if doctype == BATCH_ENROLLMENT:
                self._make_course_rows(row)
            return row

    def _check_seats(self, doctype: str, row: Json, fields: Json) -> None:
        """Refuse to save what is in a full batch: its own row counts, too."""
        if doctype == BATCH_ENROLLMENT:
            batch = self.tables[BATCH][str(row["batch"]).lower()]
            seats = batch["seat_count"]
            is_full = self._taken(batch) >= seats
        elif doctype == BATCH:
            seats = int(fields.get("seat_count", row["seat_count"]) or 0)
            is_full = self._taken(row) > seats
        else:
            return
        if seats and is_full:
            raise FrappeRefusal(417, "ValidationError", "no seats left", of_lms=True)

    def _taken(self, batch: Json) -> int:
        rows = self.tables[BATCH_ENROLLMENT].values()
        return sum(row["batch"] == batch["name"] for row in rows)

    def delete(self, doctype: str, name: str) -> None:
        """Delete a document, or refuse: 404, a right, or what is linked to it."""
        with self.lock:
            row = self.tables[doctype].get(key_of(doctype, name))
            if row is None:
                raise FrappeRefusal(404, "DoesNotExistError", "")
            if not rights.may_delete(self.role, doctype):
                raise forbidden()
            if self._is_linked(doctype, row["name"]):
                message = f"Cannot delete {doctype} {name}: it is linked"
                raise FrappeRefusal(417, "LinkExistsError", message)
            del self.tables[doctype][key_of(doctype, name)]

    def _is_linked(self, doctype: str, name: str) -> bool:
        return any(
            row.get(field) == name
            for other, field, named in _LINKS
            if named == doctype
            for row in self.tables[other].values()
        )

    def list_documents(
        self,
        doctype: str,
        filters: Any,
        order_by: str | None,
        parent: str | None = None,
    ) -> list[Json]:
        """Return matching documents; none without permission to see them."""
        if doctype in CHILDREN and parent is None:
            raise FrappeRefusal(403, "PermissionError", "")
        if not rights.may_list(self.role, doctype):
            raise forbidden(told=True)
        with self.lock:
            rows = [
                row
                for row in self.tables[doctype].values()
                if rights.may_see(self.role, doctype, row, self.user)
            ]
            return select(doctype, rows, filters, order_by)

    # Doctypes.

    def _insert_user(self, fields: Json) -> Json:
        if not fields.get("email"):
            raise FrappeRefusal(500, "AttributeError", "")
        email = str(fields["email"]).strip().lower()
        if not fields.get("first_name"):
            # Real sites never answer here; this one says why.
            raise FrappeRefusal(500, "TypeError", "")
        if not self._creating.acquire(blocking=not self.deadlocks):
            raise FrappeRefusal(500, "QueryDeadlockError", "")
        try:
            with self.lock:
                self._check_throttle()
                self._check_user(email, fields)
                more = {
                    k: fields[k] for k in ("last_name", "username") if fields.get(k)
                }
                return self.add_user(email, str(fields["first_name"]), **more)
        finally:
            self._creating.release()

    def _check_user(self, email: str, fields: Json) -> None:
        if not _EMAIL.fullmatch(email):
            message = f"{email} is not a valid Email Address"
            raise FrappeRefusal(417, "InvalidEmailAddressError", message)
        if len(str(fields["first_name"])) > _LONGEST:
            raise FrappeRefusal(
                417, "CharacterLengthExceededError", "First Name: too long"
            )
        if email in self.tables[USER]:
            raise FrappeRefusal(
                409, "DuplicateEntryError", f"User {email} already exists"
            )

    def _check_throttle(self) -> None:
        hour_ago = self.clock.now().timestamp() - 3600
        recent = [u for u in self.tables[USER].values() if u["_at"] > hour_ago]
        if self.throttle is not None and len(recent) >= self.throttle:
            raise FrappeRefusal(417, "ValidationError", "Throttled")

    def _insert_enrollment(self, fields: Json) -> Json:
        member, course = fields.get("member"), fields.get("course")
        if not course and not self.is_older:
            raise FrappeRefusal(500, "AttributeError", "", of_lms=True)
        with self.lock:
            found = self.tables[COURSE].get(str(course).lower())
            if member and found is not None:
                name = self._member(str(member))
                self._check_new(name, found)
            for field in ("member", "course"):
                if not fields.get(field):
                    words = f"[LMS Enrollment]: {field}"
                    raise FrappeRefusal(417, "MandatoryError", words)
            if found is None:
                message = f"Could not find Course: {course}"
                raise FrappeRefusal(417, "LinkValidationError", message)
            self._check_values(fields)
            return self._new_row(self._member(str(member)), found["name"], fields)

    def _member(self, told: str) -> str:
        """Return a User's own name; return an unknown one unchanged."""
        user = self.tables[USER].get(told.lower())
        return str(user["name"]) if user else told

    def _check_new(self, member: str, course: Json) -> None:
        """Refuse as LMS 2.61 does before an insert."""
        if self.duplicates == "refused" and self.enrollments(member, course["name"]):
            message = "Student is already enrolled in this course."
            raise FrappeRefusal(417, "ValidationError", message, of_lms=True)
        self._check_eligible(member, course)

    def _check_eligible(self, member: str, course: Json) -> None:
        free = course["published"] and not course["paid_course"]
        if self.is_older or (free and not course["disable_self_learning"]):
            return
        if rights.has(self.role, rights.PRIVILEGED):
            return
        if has_paid(self.tables, member, course["name"]):
            return
        message = "You need to complete the payment for this course before enrolling."
        raise FrappeRefusal(417, "ValidationError", message, of_lms=True)

    def _check_values(self, fields: Json) -> None:
        if (fields.get("member_type") or "Student") not in _MEMBER_TYPES:
            raise FrappeRefusal(417, "ValidationError", "Member Type cannot be that")
        if len(str(fields["member"])) > _LONGEST:
            raise FrappeRefusal(417, "CharacterLengthExceededError", "Member: too long")
        payment, member = fields.get("payment"), str(fields["member"])
        lost = payment and payment not in self.tables[PAYMENT]
        if lost or (self.is_newer and member.lower() not in self.tables[USER]):
            what = f"Payment: {payment}" if lost else f"Member: {member}"
            raise FrappeRefusal(417, "LinkValidationError", f"Could not find {what}")

    def _new_row(self, member: str, course: str, fields: Json) -> Json:
        user = self.tables[USER].get(member.lower(), {})
        told = {k: v for k, v in fields.items() if k in columns_of(ENROLLMENT)}
        told |= {
            "member": member,
            "course": course,
            "member_name": user.get("full_name"),
            "member_username": user.get("username"),
            "progress": float(fields.get("progress") or 0.0),
            "member_type": fields.get("member_type") or "Student",
        }
        owner = "" if self.is_older else member
        return self._put(ENROLLMENT, self._new_name(), told, owner=owner)

    def _insert_batch_row(self, fields: Json) -> Json:
        batch = fields.get("batch")
        if not batch:
            raise FrappeRefusal(500, "AttributeError", "", of_lms=True)
        with self.lock:
            found = self.tables[BATCH].get(str(batch).lower())
            if found is None:
                raise FrappeRefusal(
                    417, "LinkValidationError", f"Could not find {batch}"
                )
            member = self._member(str(fields.get("member")))
            if self.is_newer and member.lower() not in self.tables[USER]:
                words = f"Could not find Member: {member}"
                raise FrappeRefusal(417, "LinkValidationError", words)
            self._check_batch(member, found)
            user = self.tables[USER].get(member.lower(), {})
            told = fields | {"member": member, "batch": found["name"]}
            told |= {
                "member_name": user.get("full_name"),
                "member_username": user.get("username"),
            }
            row = self._put(BATCH_ENROLLMENT, self._new_name(), told)
            self._make_course_rows(row)
            return row

    def _check_batch(self, member: str, batch: Json) -> None:
        full = 0 < batch["seat_count"] <= self._taken(batch)
        known = any(
            (row["batch"], row["member"]) == (batch["name"], member)
            for row in self.tables[BATCH_ENROLLMENT].values()
        )
        allowed = rights.has(self.role, rights.ENROLLING_IN_BATCHES)
        if known or full or not allowed:
            message = (
                "Member already enrolled in this batch" if known else "Not possible"
            )
            raise FrappeRefusal(417, "ValidationError", message, of_lms=True)

    def _make_course_rows(self, row: Json) -> None:
        """Create missing enrolments for a batch's courses."""
        batch = self.tables[BATCH][row["batch"].lower()]
        for one in batch.get("_Batch Course", ()):
            if not self.enrollments(row["member"], one["course"]):
                stamped = {"enrollment_from_batch": batch["name"]}
                self._new_row(row["member"], one["course"], stamped)

    def _insert_certificate(self, fields: Json) -> Json:
        member, course = str(fields.get("member")), fields.get("course")
        with self.lock:
            rows = self.enrollments(member, course) if course else []
            known = any(
                (row["member"], row["course"]) == (member, course)
                for row in self.tables[CERTIFICATE].values()
            )
            if course and (known or not rows):
                message = "already certified" if known else "not enrolled"
                raise FrappeRefusal(417, "ValidationError", message, of_lms=True)
            return self._put(CERTIFICATE, self._new_name(), fields)
