# SPDX-License-Identifier: MIT
"""
A course shop: a page, a checkout, a return page. The starting point of a host of yours.

The SDK does the rest: prices come from the LMS, payments are verified, and the learner
is enrolled exactly once. `flask --app shop run`; the dashboard is at /enroll/admin/.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from frappe_enroll_flask import FrappeEnroll, current_enroll
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import EnrollError


#: Messages for what learners may run into; all other errors have a public message.
WORDS = {
    "coupon_unavailable": "This code is not valid for this course and email address.",
    "already_enrolled": "You already have this course. Sign in to the LMS.",
    "rate_limited": "Too many tries. Please wait a moment.",
}


def create_app(sdk: EnrollSDK | None = None, **config: Any) -> Flask:
    """Return the shop; settings come from the environment (or an SDK that is given)."""
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.config |= {"SESSION_COOKIE_SAMESITE": "Lax"} | config
    FrappeEnroll(app, sdk=sdk)
    app.add_url_rule("/", "home", home)
    app.add_url_rule("/courses/<path:course_id>", "course", course)
    app.add_url_rule("/courses/<path:course_id>/buy", "buy", buy, methods=["POST"])
    app.add_url_rule("/thanks", "thanks", thanks)
    app.add_url_rule("/given-up", "given_up", given_up)
    app.register_error_handler(EnrollError, sorry)
    return app


def home() -> str:
    """List what the LMS sells."""
    courses = current_enroll.lms.list_courses(limit=20).items
    return render_template("home.html", courses=[c for c in courses if c.price])


def course(course_id: str) -> str:
    """Show one course, and the form."""
    found = current_enroll.catalogue.get(course_id)
    return render_template("course.html", course=found, form={}, problem="")


def buy(course_id: str) -> tuple[str, int] | AnyResponse:
    """Begin the enrollment and send the learner on: to pay, or to the course."""
    form = request.form
    try:
        checkout = current_enroll.checkout(
            course_id=course_id,
            email=form.get("email", ""),
            full_name=form.get("name") or None,
            coupon_code=form.get("code") or None,
            success_url=f"{_root()}/thanks?session_id={{CHECKOUT_SESSION_ID}}",
            cancel_url=f"{_root()}/given-up",
        )
    except EnrollError as error:
        found = current_enroll.catalogue.get(course_id)
        words = WORDS.get(error.code, error.public_message)
        page = render_template("course.html", course=found, form=form, problem=words)
        return page, error.http_status
    if checkout.token is not None:
        # The learner's key to this enrollment, in their signed session.
        session["enrollment"] = (checkout.enrollment_id, checkout.token)
    if checkout.status == "awaiting_payment":
        # Without a page: the payment is under way.
        return redirect(checkout.next_url or url_for("home"), 303)
    return redirect(url_for("thanks"), 303)


def thanks() -> str:
    """Receive the learner; the payment is settled here if the webhook is late."""
    session_id = request.args.get("session_id")
    if session_id is not None:
        row = current_enroll.confirm_return(session_id)
    else:
        row = current_enroll.enrollments.get_with_token(*_mine())
    link = current_enroll.catalogue.url_of(row.course_id)
    return render_template("thanks.html", row=row, link=link)


def given_up() -> AnyResponse:
    """Receive a learner who went back: the code they held is free again."""
    name, token = _mine()
    row = current_enroll.cancel(name, token)
    if row.status in {"confirmed", "enrolled"}:  # paid after all
        return redirect(url_for("thanks"), 303)
    return redirect(url_for("course", course_id=row.course_id), 303)


def sorry(error: EnrollError) -> AnyResponse | tuple[str, int]:
    """Answer what went wrong: a page here, problem+json on the API."""
    if request.blueprint is not None:
        from frappe_enroll_wsgi import problems  # noqa: PLC0415  the API's own answer

        return problems.of_error(error)
    words = WORDS.get(error.code, error.public_message)
    return render_template("sorry.html", words=words), error.http_status


def _mine() -> tuple[str, str]:
    name, token = session.get("enrollment") or ("", "")
    return name or "none", token


def _root() -> str:
    """Return where the shop is reached: never from a Host header."""
    return current_enroll.settings.public_url.rpartition("/enroll")[0]
