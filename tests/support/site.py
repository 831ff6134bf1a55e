# SPDX-License-Identifier: MIT
"""A world with the HTTP surface over it."""

from __future__ import annotations

from wsgiref.validate import validator

from flask import Flask
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from frappe_enroll_flask import FrappeEnroll
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_wsgi import create_app
from support.world import COURSE, World


#: Tokens of the admin surface, and the lines that the settings hold of them.
VIEWER, OPERATOR = "fea_viewer_token_hidden", "fea_operator_token_hidden"
ADMIN = {
    "secret_key": "hidden-key-of-the-cookies",
    "admin_tokens": ",".join(
        (f"viewer:vera:{hash_token(VIEWER)}", f"operator:olga:{hash_token(OPERATOR)}")
    ),
}
EMAIL, SECRET = "ada@example.com", "cron-hidden-secret"
MONEY = {"currency": "usd"}


class Site:
    """A world with the HTTP app over it; every call passes the validator."""

    def __init__(self, prefix="", plugins=(), mount="wsgi", **more):
        self.prefix, self.mount = prefix, mount
        self.world = World(
            **{"cron_secret": SECRET, "payments": "fake"}
            | {"redirect_hosts": "shop.example.com", "rate_limits": "off"}
            | more
        )
        self.sdk = self.world.sdk(plugins=plugins)
        self.restart()

    def restart(self, sdk=None):
        """Serve by a new process: nothing is cached."""
        self.sdk = sdk or self.sdk
        app = create_app(self.sdk)
        if self.mount == "flask":
            app = Flask("host")
            FrappeEnroll(app, sdk=self.sdk, url_prefix=self.prefix)
        if self.mount == "dispatcher":
            app = DispatcherMiddleware(NotFound(), {self.prefix: app})
        # Under a host the prefix is in the path, else it is where the app hangs.
        self._root = self.prefix if self.mount == "wsgi" else ""
        self._path = "" if self.mount == "wsgi" else self.prefix
        self.app, self.client = app, Client(validator(app), use_cookies=False)

    def call(
        self,
        method,
        path,
        *,
        data=b"",
        headers=None,
        json=None,
        query=None,
        environ=None,
    ):
        """Send one request, read and close the answer."""
        more = {"data": data} if json is None else {"json": json}
        answer = self.client.open(
            f"{self._path}{path}",
            base_url=f"http://enroll.example.com{self._root}",
            method=method,
            headers=headers or {},
            query_string=query,
            environ_overrides=environ,
            **more,
        )
        answer.get_data()
        answer.close()
        return answer

    def checkout(self, *, key=None, headers=None, **fields):
        """Post a checkout."""
        body = {"course_id": COURSE, "email": EMAIL} | fields
        headers = dict(headers or {}) | (
            {} if key is None else {"Idempotency-Key": key}
        )
        return self.call("POST", "/checkout", json=body, headers=headers)

    def admin(self, method, path, token=OPERATOR, **more):
        """Send one request to the admin API."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        return self.call(method, f"/admin/api{path}", headers=headers, **more)

    def order(self, path, token=OPERATOR, **fields):
        """Post to the admin API, with a reason."""
        fields = {"reason": "because"} | fields
        return self.admin("POST", path, token, json=fields)

    def deliver(self, event):
        """Deliver a signed event over HTTP."""
        body, headers = self.world.payments.signed(event)
        headers |= {"Content-Type": "application/json"}
        return self.call("POST", "/webhooks/fake", data=body, headers=headers)


def check_problem(answer, status, code, *, retryable=False, **more):
    """Check an RFC 9457 answer as a whole."""
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    told = dict(answer.json)
    title, errors = told["title"], told.pop("errors", None)
    assert (code == "validation") == bool(errors)
    for error in errors or ():
        assert error.keys() == {"path", "problem"}
    assert told == {
        "type": f"urn:frappe-enroll:{code}",
        "title": title,
        "status": status,
        "code": code,
        "retryable": retryable,
        **more,
    }
    assert answer.headers["Cache-Control"] == "no-store"
