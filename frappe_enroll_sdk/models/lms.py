# SPDX-License-Identifier: MIT
"""What an LMS holds."""

from __future__ import annotations

import attrs

from ..money import Money


@attrs.frozen(kw_only=True)
class Course:
    """
    A course as the LMS (or the host's `get_course` hook) describes it.

    Attributes:
        id: The LMS's own spelling of the name.
        title: Title for people.
        price: Its price; None when the course is not for sale.
        flaw: Why its price can't be read; "" = it can. The course is then not for sale,
            whatever the settings say about courses without a price.
        published: Whether learners may see it.
        url: Where the learner goes after enrolling, or None.
    """

    id: str
    title: str
    price: Money | None = None
    flaw: str = ""
    published: bool = True
    url: str | None = None


@attrs.frozen(kw_only=True)
class Learner:
    """
    A user of the LMS (Frappe: User; an enrolment's `member`).

    Attributes:
        name: The LMS's own spelling (Frappe: the lower-cased e-mail address).
        email: E-mail address.
        full_name: Name for people, or None.
        enabled: False for a disabled account.
    """

    name: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(default=None, repr=False)
    enabled: bool = True


@attrs.frozen(kw_only=True)
class LMSEnrollment:
    """
    A row of the LMS (Frappe: LMS Enrollment).

    Attributes:
        name: The row's name in the LMS.
        learner: The row's `member`.
        course_id: The row's `course`.
        creation: When the row was created: the LMS's own timestamp as text, naive in
            the site's time zone (Frappe) or with an offset. Rows are ordered by it.
        modified: When it was last written, in the same form; "" = unknown.
        modified_by: The user who wrote it last; "" = unknown.
        progress: Percent of the course that the learner has completed.
        member_type: "Student", "Mentor" or "Staff".
        batch: The batch that created the row, or None.
        certificate: The certificate that refers to the row, or None.
    """

    name: str
    learner: str
    course_id: str
    creation: str = ""
    modified: str = ""
    modified_by: str = ""
    progress: float = 0.0
    member_type: str = "Student"
    batch: str | None = None
    certificate: str | None = None

    @property
    def untouched(self) -> bool:
        """Whether nobody has changed the row since it was created."""
        return bool(self.creation) and self.modified == self.creation

    @property
    def removable(self) -> bool:
        """Whether the row is a student's, without batch or certificate."""
        return self.member_type == "Student" and not self.batch and not self.certificate


@attrs.frozen(kw_only=True)
class Sale:
    """
    A sale, for an LMS that records sales (`SellingLMS.sells`).

    Attributes:
        enrollment_id: Ours.
        full_name: Name of the learner, or None.
        amount: Amount paid; zero for a full grant.
        payment_id: The provider's payment, or None if nothing was paid.
        affiliate: Who referred the learner, or None.
    """

    enrollment_id: str
    full_name: str | None = attrs.field(default=None, repr=False)
    amount: Money
    payment_id: str | None = None
    affiliate: str | None = None

    @property
    def paid(self) -> bool:
        """Whether money was paid."""
        return self.payment_id is not None and bool(self.amount)
