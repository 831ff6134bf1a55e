# SPDX-License-Identifier: MIT
"""Names in links: free text leads where it says, in every place that makes a link."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from support.site import EMAIL, Site
from werkzeug.test import create_environ
from werkzeug.wrappers import Request

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_mail.letters import Desk
from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.links import course_link
from frappe_enroll_sdk.models import Course
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Done
from frappe_enroll_wsgi._internal.dashboard.render import url


LMS = "https://lms.example.com"
NAMES = (
    "c#-basics",
    "why?",
    "C++ & co",
    "50% off",
    "a/b",
    "a;b=c",
    "über-uns",
    "日本語",
    'it\'s "quoted"',
    "%23",
)


def check(link, name, root=LMS):
    """The link's path is the course's, and it has neither query nor fragment."""
    parts = urlsplit(link)
    assert link.isascii()
    assert f"{parts.scheme}://{parts.netloc}" == root
    assert unquote(parts.path) == f"/lms/courses/{name}"
    assert (parts.query, parts.fragment) == ("", "")
    assert parts.path.count("/") == 3


@pytest.mark.parametrize("name", NAMES)
def test_course_is_linked_by_its_whole_name(name):
    """By the core, in mails, by the LMS's own records."""
    check(course_link(f"{LMS}/", name), name)
    check(Desk().link(name, course_link(LMS, name)), name)
    own = Desk(course_url="https://shop.example.com/c/{course_id}?from=mail").link(
        name, ""
    )
    assert unquote(urlsplit(own).path) == f"/c/{name}"
    assert parse_qs(urlsplit(own).query) == {"from": ["mail"]}
    lms = FrappeLMS(LMS, "key", "secret")
    check(lms._course({"name": name, "title": "T", "published": 1}).url, name)


@pytest.mark.parametrize("name", NAMES)
def test_learner_lands_on_the_course_after_checkout_and_return(name):
    """A grant's next URL and the return page's redirect."""
    site = Site(frappe_lms_url=LMS, public_url="https://shop.example.com/enroll")
    site.world.lms.add_course(name, Money(4900, "usd"))
    code = site.sdk.coupons.create(100, any_course=True).code
    made = site.sdk.checkout(course_id=name, email=EMAIL, coupon_code=code)
    check(made.next_url, name)
    paid = site.sdk.checkout(course_id=name, email="bob@example.com")
    site.world.pay(paid.enrollment_id)
    row = site.sdk.enrollments.get(paid.enrollment_id)
    answer = site.call("GET", "/return", query={"session_id": row.session_id})
    assert answer.status_code == 303
    check(answer.headers["Location"], name)
    link = site.sdk.affiliates.link(
        site.sdk.affiliates.register(email="eve@example.com", code="eve").code, name
    )
    assert parse_qs(urlsplit(link).query) == {"course": [name], "affiliate": ["eve"]}


@pytest.mark.parametrize("name", NAMES)
def test_page_of_the_dashboard_is_linked_by_its_whole_name(name):
    """A plugin chooses its jobs' kinds, and keys begin with them."""
    call = SimpleNamespace(mount="/enroll", request=Request(create_environ()))
    link = url(call, f"/jobs/{name}", done=name)
    parts = urlsplit(link)
    assert unquote(parts.path) == f"/enroll/admin/jobs/{name}"
    assert parse_qs(parts.query) == {"done": [name]}
    assert parts.fragment == ""


class Shop:
    """A host whose courses have pages of their own, and a job on each enrolment."""

    def __init__(self):
        self.links = []

    @hookimpl
    def get_course(self, course_id):
        """Return the course with the shop's page."""
        price = Money(4900, "usd")
        return Course(id=course_id, title="T", price=price, url=OWN)

    @hookimpl
    def register_jobs(self, register):
        """Ask for a job."""
        register("shop", self.note, on=("enrolled",))

    def note(self, context):
        """Note where the learner is sent."""
        self.links.append(context.course_url)
        return Done()


OWN = "https://shop.example.com/learn/python"


def test_learner_is_sent_to_the_url_that_the_course_gives():
    """By checkout, return page and plugins' jobs, though the LMS has a page, too."""
    shop = Shop()
    site = Site(frappe_lms_url=LMS, plugins=[shop])
    code = site.world.coupon(100)
    free = site.checkout(email="bob@example.com", coupon_code=code).json
    assert free["next_url"] == OWN
    made = site.checkout().json
    event = site.world.pay(made["enrollment_id"])
    session_id = site.world.storage.enrollments.find(made["enrollment_id"]).session_id
    site.deliver(event)
    back = site.call("GET", "/return", query={"session_id": session_id})
    assert back.headers["Location"] == OWN
    site.sdk.run_jobs()
    assert shop.links == [OWN, OWN]
