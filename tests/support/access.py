# SPDX-License-Identifier: MIT
"""Who may do what: every identity that knocks, and what each rule says to it."""

from __future__ import annotations

import re

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal import cookies
from frappe_enroll_wsgi._internal.routing import Access
from frappe_enroll_wsgi._internal.sessions import Sessions
from support.site import ADMIN, OPERATOR, SECRET, VIEWER, Site


#: What becomes of a caller: let in, or refused by a status or code.
IN, UNKNOWN, ROLE, FOREIGN = "in", "401", "forbidden", "cross_site"
TOKEN, SIGNATURE = "token", "signature"
#: Every identity: what it brings, and the site whose page its browser shows.
IDENTITIES = (
    "nobody",
    "wrong token",
    "viewer's token",
    "operator's token",
    "learner's token",
    "another learner's token",
    "cron secret",
    "viewer's cookie",
    "operator's cookie",
    "operator's cookie, other site",
    "forged cookie",
    "cookie that was signed out",
    "host's viewer",
    "host's operator",
    "host's operator, other site",
)
_OWN_PAGE = {
    *("viewer's cookie", "operator's cookie", "forged cookie"),
    *("cookie that was signed out", "host's viewer", "host's operator"),
}
_VIEWERS = {"viewer's token", "viewer's cookie", "host's viewer"}
_OPERATORS = {"operator's token", "operator's cookie", "host's operator"}
_ELSEWHERE = {"operator's cookie, other site", "host's operator, other site"}


def _row(**outcomes):
    """Return what a rule says: by a set of identities, else by `others`."""
    sets = {
        "own_page": _OWN_PAGE,
        "viewers": _VIEWERS,
        "operators": _OPERATORS,
        "elsewhere": _ELSEWHERE,
        "learner": {"learner's token"},
        "cron": {"cron secret"},
    }
    row = dict.fromkeys(IDENTITIES, outcomes.pop("others"))
    for name, outcome in outcomes.items():
        row |= dict.fromkeys(sets[name], outcome)
    return row


#: What each rule says to each identity. A rule that is not here fails every test of it.
TABLE = {
    Access.PUBLIC: _row(others=IN),
    Access.LEARNER: _row(others=TOKEN, learner=IN),
    Access.PROVIDER: _row(others=SIGNATURE),
    Access.CRON: _row(others=UNKNOWN, cron=IN),
    Access.SAME_ORIGIN: _row(others=FOREIGN, own_page=IN),
    Access.VIEWER: _row(others=UNKNOWN, viewers=IN, operators=IN, elsewhere=IN),
    Access.OPERATOR: _row(
        others=UNKNOWN, viewers=ROLE, operators=IN, elsewhere=FOREIGN
    ),
}
#: What is a POST only because its words have no place in a URL: rule VIEWER, and from
#: our own pages, as all that a browser signs.
SEARCH = TABLE[Access.VIEWER] | dict.fromkeys(_ELSEWHERE, FOREIGN)
#: Where the surface hangs.
MOUNTS = {
    "WSGI root": ("", "wsgi"),
    "a prefix": ("/enroll", "wsgi"),
    "Flask": ("/enroll", "flask"),
    "DispatcherMiddleware": ("/enroll", "dispatcher"),
}
#: Every method of every route; HEAD comes with GET.
ASKED = [
    (route, method)
    for route in ROUTES
    for method in (*route.methods, *(["HEAD"] if "GET" in route.methods else []))
]


def expected(route, method):
    """Return what the rule of a route says to each identity."""
    row = TABLE[route.access]
    return SEARCH if (route.access, method) == (Access.VIEWER, "POST") else row


class HostLogin:
    """A plugin that lets the host's users in."""

    @hookimpl
    def authenticate_admin(self, environ):
        """Name the user of the host's session."""
        return {"ada": "ada", "vera": ("vera", "viewer")}.get(
            environ.get("HTTP_X_HOST_USER")
        )


def session_of(site, token=OPERATOR):
    """Return the cookie's value of a new session."""
    return Sessions(site.sdk).open(hash_token(token))


class Door:
    """A site at a mount, with two learners' enrollments."""

    def __init__(self, mount):
        prefix, kind = MOUNTS[mount]
        self.site = Site(prefix, mount=kind, plugins=[HostLogin()], **ADMIN)
        made = [self.site.checkout(email=f"l{n}@example.com").json for n in range(2)]
        self.enrollment, self.token = made[0]["enrollment_id"], made[0]["token"]
        self._other = made[1]["token"]

    def headers(self, identity):
        """Return the headers of an identity."""
        bearers = {
            "wrong token": "fea_wrong_token_hidden",
            "viewer's token": VIEWER,
            "operator's token": OPERATOR,
            "cron secret": SECRET,
        }
        learners = {
            "learner's token": self.token,
            "another learner's token": self._other,
        }
        if identity in bearers:
            return {"Authorization": f"Bearer {bearers[identity]}"}
        if identity in learners:
            return {"Enrollment-Token": learners[identity]}
        if identity == "nobody":
            return {}
        origin = "same-origin" if identity in _OWN_PAGE else "cross-site"
        if identity.startswith("host's"):
            who = {"X-Host-User": "vera" if "viewer" in identity else "ada"}
        else:
            who = {"Cookie": f"{cookies.NAME}={self._cookie(identity)}"}
        return who | {"Sec-Fetch-Site": origin}

    def _cookie(self, identity):
        site = self.site
        value = session_of(site, VIEWER if identity.startswith("viewer") else OPERATOR)
        if identity == "forged cookie":
            return value[:-1] + ("0" if value[-1] != "0" else "1")
        if identity == "cookie that was signed out":
            headers = {
                "Cookie": f"{cookies.NAME}={value}",
                "Sec-Fetch-Site": "same-origin",
            }
            site.call("POST", "/admin/sign-out", headers=headers, data={"x": "1"})
        return value

    def outcome(self, route, method, headers):
        """Return what becomes of a caller with these headers."""
        more = {"json": {"reason": "because"}} if route.body else {}
        if route.form is not None:
            more = {"data": {"reason": "because", "token": OPERATOR}}
        path = self.path_of(route)
        answer = self.site.call(method, path, headers=headers, **more)
        if route.access in {Access.VIEWER, Access.OPERATOR} and "sign-in" in (
            answer.headers.get("Location", "")
        ):
            return UNKNOWN
        if answer.status_code == 401:
            return UNKNOWN
        if method == "HEAD":
            # It has no body that tells the code: the one of the route's rule.
            refusal = TOKEN if route.access is Access.LEARNER else ROLE
            return refusal if answer.status_code == 403 else IN
        told = re.search(r'data-code="(\w+)"', answer.text)
        code = answer.json.get("code") if answer.is_json else told and told[1]
        return code if code in {ROLE, FOREIGN, TOKEN, SIGNATURE} else IN

    def path_of(self, route):
        """Return a path of the route with names in its places."""
        names = {"<provider>": "fake", "<backend>": "lms"}
        if route.access is Access.LEARNER:
            names["<enrollment_id>"] = self.enrollment
        parts = route.path.replace("<path:", "<").split("/")
        return "/".join(
            names.get(part, "some") if part.startswith("<") else part for part in parts
        )

    def outcomes(self, identity):
        """Return what becomes of an identity at every method of every route."""
        found, headers = {}, self.headers(identity)
        for route, method in ASKED:
            # Signing out would end the session that the others are asked with.
            own = route.access is Access.SAME_ORIGIN and self.headers(identity)
            found[route.name, method] = self.outcome(route, method, own or headers)
        return found
