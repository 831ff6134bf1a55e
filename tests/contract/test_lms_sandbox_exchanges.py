# SPDX-License-Identifier: MIT
"""
What real Frappe LMS servers answered, asked again of the sandbox, in their order.

Status, class and the shape of the body (names of its fields, of a document's, and of a
list's first row) have to be the same. What is not the same stands here with its reason.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, unquote

import pytest
import requests
from support.size import with_the_first_python

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sandbox._internal.lms_doctypes import columns_of


pytestmark = with_the_first_python

#: Roles of the recording's keys.
ROLES = {
    "apimoderator": "LMS Student + Moderator",
    "apisysmgr": "System Manager",
    "apisysmod": "System Manager + Moderator",
    "apicreator": "LMS Student + Course Creator",
    "apievaluator": "LMS Student + Batch Evaluator",
    "apistudent": "LMS Student",
    "apinorole": "none",
    "apidisabled": "LMS Student + Moderator",
}
#: Why exchanges are not played, by a pattern of "server name".
LEFT_OUT = {
    "A (login|logout|whoami-cookie|cookie-|token-with-expired).*": (
        "sessions with cookies: the client keeps none"
    ),
    "A token-(bad-and-cookie-good|with-guest-cookie)": "the same",
    "A whoami-basic-usr-pwd": "a password in a Basic header, which is not recorded",
    "A (ratelimit|endpoint-ratelimit|maintenance|db-|redis-).*": (
        "states of the machine: faults of the sandbox, played by themselves below"
    ),
    "A notb-.*": "a site without tracebacks: a switch, played by itself below",
    "A lms-(?!get_user_info).*": "methods of a learner's own session and of LMS's shop",
    "A coupon-.*": "coupons of the LMS, which are not ours",
    "A api-v2-.*": "version 2 of the API, which nobody here calls",
    "A (unknown-site-host|ip-host|unknown-site-header)": (
        "several sites on one server: `host`, played by itself below"
    ),
    "A user-create-with-password": "a password that is too weak: we send none",
    "A user-create-(throttled|duplicate-while-throttled)": (
        "a bound of users per hour: a switch, played by itself below"
    ),
    "A user-create-missing-first-name": "the real one never answers",
    "A body-too-large-26MB": "no body of ours comes near",
    "A enrol-(after-coupon|list-api-student)": "rows that the LMS's shop has made",
    "A lms-payment-list-after-coupon": "the same",
    "A client-insert-many-one-bad": "on Frappe 15 it is no transaction; not used",
    "A client-insert-many-check": "the same",
    "A options": "CORS of a browser: no client of ours asks",
}
#: Doctypes with fields that nothing here reads: the sandbox does not tell them.
PARTIAL = frozenset({"User", "LMS Course", "Address", "LMS Batch"})
_MAILS = "a message about mails that were (not) sent, which no client reads"
_LEVELS = "rights to single fields of a User are not built: all are told"
#: Exchanges that differ all the same, and why.
KNOWN = {
    "user-create-moderator": _MAILS,
    "user-create-welcome-email-on": _MAILS,
    "user-create-no-welcome-key": _MAILS,
    "user-get-ok-moderator": _LEVELS,
    "user-get-self-norole": _LEVELS,
}
COUNT = 259


@pytest.fixture(scope="module")
def recorded(shared_data):
    """Return the recorded exchanges."""
    return json.loads((shared_data / "exchanges/frappe-lms.json").read_text())


def fill(site):
    """Put there what was on the recorded server before."""
    for number in range(1, 45):
        site.add_user(f"student{number:02}@example.com", f"Student{number:02}")
    for name in ("disabled.student", *(f"api-{key[3:]}" for key in ROLES)):
        site.add_user(f"{name}@example.com", name)
    site.add_course("a-guide-to-frappe-learning")
    site.add_course("free-python-course")
    site.add_course("paid-data-course", 499.5, "MAD")
    site.add_course("draft-course", published=False)
    site.add_course("no-self-learning-course", disable_self_learning=True)
    for name in ("concurrency-course", "bench-course", "another-course"):
        site.add_course(name)
    site.insert(
        "LMS Enrollment", {"member": "student01@example.com", "course": "bench-course"}
    )
    site.add_batch("autumn-batch", "free-python-course", seat_count=3)
    site.add_batch("paid-batch", "paid-data-course", paid_batch=1, amount=100.0)
    for number in range(20):
        row = {"member": f"filler{number}@example.com", "course": "concurrency-course"}
        site.insert("LMS Enrollment", row)


def follow(site, server):
    """Let the site of server A become C, and back."""
    if server == "C" and not site.is_newer:
        site.become_newer()
    elif server == "A" and site.is_newer:
        site.frappe, site.duplicates = 15, "accepted"


def reason_of(exchange):
    """Return why an exchange is not played, or None."""
    name = f"{exchange['server']} {exchange['name']}"
    found = [why for pattern, why in LEFT_OUT.items() if re.fullmatch(pattern, name)]
    return found[0] if found else None


class Player:
    """Plays exchanges against a sandbox; names of new documents are translated."""

    def __init__(self, sandbox):
        self.sandbox, self.names = sandbox, {}

    def translated(self, text):
        """Return a text in which the recording's names are the sandbox's."""
        for theirs, ours in self.names.items():
            text = text.replace(theirs, ours)
        return text

    def play(self, exchange, role=None):
        """Make the request, in a role; return the sandbox's answer."""
        told, site = exchange["request"], self.sandbox.site
        headers = dict(told["headers"])
        headers.pop("Host", None)
        word = headers.get("Authorization", "")
        key = next((k for k in ROLES if f"FAKEKEY_{k}" in word), None)
        whole = any(
            w in word for w in ("FAKEKEY:FAKESECRET", "FAKEBASE64OFKEY", "KEY:SECRET")
        )
        site.role = role or ROLES.get(key, ROLES["apimoderator"])
        site.user = (
            "student@lms.test" if role == "LMS Student" else "api-moderator@example.com"
        )
        if key is not None:
            site.user = f"api-{key[3:]}@example.com"
        site.user_enabled = key != "apidisabled"
        scheme = word.partition(" ")[0]
        if key is not None or (whole and scheme.lower() in {"token", "bearer", "foo"}):
            headers["Authorization"] = f"{scheme} sandbox-key:sandbox-secret"
        elif whole:
            headers["Authorization"] = "Basic c2FuZGJveC1rZXk6c2FuZGJveC1zZWNyZXQ="
        body = told.get("body", json.dumps(told["json"]) if "json" in told else None)
        if body is not None and "\N{REPLACEMENT CHARACTER}" in body:
            # Bytes that are no UTF-8 could not be recorded as they were.
            body = b'{"member":"\xff\xfe","course":"x"}'
        elif body is not None:
            body = self.translated(body).encode()
        answer = requests.request(
            told["method"],
            self.sandbox.url + self.translated(told["path"]),
            data=body,
            headers={"Accept": "application/json", **headers},
            timeout=30,
        )
        self.learn(exchange, answer)
        return answer

    def learn(self, exchange, answer):
        """Note how the sandbox calls what the recording has called otherwise."""
        theirs, ours = (
            document_of(exchange["response"].get("json")),
            document_of(json_of(answer)),
        )
        if isinstance(theirs, dict) and isinstance(ours, dict) and "name" in theirs:
            if theirs["name"] != ours.get("name") and len(str(theirs["name"])) == 10:
                self.names[theirs["name"]] = str(ours.get("name"))
            elif exchange["request"]["method"] == "POST" and theirs["name"] != ours.get(
                "name"
            ):
                self.names[quote(theirs["name"])] = self.names[theirs["name"]] = ours[
                    "name"
                ]
            if "modified" in theirs:
                self.names[theirs["modified"]] = str(ours.get("modified"))


def json_of(answer):
    """Return an answer's JSON, or None."""
    try:
        return answer.json()
    except ValueError:
        return None


def document_of(body):
    """Return what an answer is about."""
    return body.get("data", body.get("message")) if isinstance(body, dict) else None


def shape_of(status, body, path, *, tracebacks=False):
    """Return what of an answer has to be the same; `tracebacks`: leave them out."""
    if not isinstance(body, dict):
        return status, "page" if body is None else type(body).__name__
    inner = document_of(body)
    if isinstance(inner, list):
        inner = inner[0] if inner else "empty"
    found = re.search(r"/resource/([^/?]+)", unquote(path))
    doctype = found[1] if found else ""
    if isinstance(inner, dict):
        fields = set(inner)
        if doctype in PARTIAL:
            fields &= columns_of(doctype) | {"doctype"}
        inner = tuple(sorted(fields))
    elif inner != "empty":
        inner = type(inner).__name__
    hidden = {"exc", "exception", "_exc_source"} if tracebacks else set()
    return status, body.get("exc_type"), tuple(sorted(set(body) - hidden)), inner


def test_answers_are_those_of_the_real_servers(recorded):
    """Every exchange that is played; all others have a reason."""
    played, wrong = 0, {}
    with LMSSandbox() as sandbox, LMSSandbox() as older:
        for one in (sandbox, older):
            fill(one.site)
        # Server B: nobody was enrolled there.
        older.site.tables["LMS Enrollment"].clear()
        older.site.become_older()
        new, old = Player(sandbox), Player(older)
        for exchange in recorded:
            if reason_of(exchange) is not None:
                continue
            follow(sandbox.site, exchange["server"])
            answer = (old if exchange["server"] == "B" else new).play(exchange)
            told, path = exchange["response"], exchange["request"]["path"]
            theirs = shape_of(told["status"], told.get("json"), path)
            ours = shape_of(answer.status_code, json_of(answer), path)
            played += 1
            if theirs != ours and exchange["name"] not in KNOWN:
                wrong[exchange["name"]] = {"real": theirs, "sandbox": ours}
    assert wrong == {}
    assert played == COUNT


def test_every_reason_is_one(recorded):
    """No pattern that fits nothing, and nothing that is known and not recorded."""
    names = [f"{e['server']} {e['name']}" for e in recorded]
    for pattern in LEFT_OUT:
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    assert KNOWN.keys() <= {exchange["name"] for exchange in recorded}


#: Of the recording of batches, programs and certificates: why an exchange is not
#: played, by a pattern of its name. All others are.
PRODUCTS_LEFT_OUT = {
    "(c-)?webhook-.*": "webhooks of Frappe: nothing of ours listens to any",
    "batch-create-.*": "courses, batches and programs are made by people, not by us",
    "program-create-ok": "the same",
    "batch-list-fields": "times, zones and categories of batches: nobody reads them",
    "batch-details-guest": "a method of the LMS's own pages",
    "batch-enrol-method-moderator": "the same: it enrolls whoever calls",
    "batch-get-unpublished-sys": "batches are read with a Moderator's key",
    "program-(add|remove|self|get)-.*": "members of programs are not written by us yet",
    "c-program-(add|remove)-.*": "the same",
    "program-member-(progress.*|list-self)": "progress in a program: the same",
    "(c-)?program-members-get_count": "rights to count rows of a child table: the same",
    "payment-(certificate-ok|program-refused)": "we record payments for courses alone",
    "batch-enrol-(with-payment|payment-.*)": "batches are not sold by us yet",
    "batch-enrol-student-self-paid": "the same: a student's own enrolment in a batch",
    "refund-batch-.*": "the same",
    "(coupon|order)-.*": "coupons and orders of the LMS's own shop",
    "cert-(put-after-enrol-delete|batch-ok|method-save)": (
        "certificates are made by the LMS; we look for them"
    ),
    "cert(paid|req|eval)-.*": "paid certificates and evaluations: not sold by us yet",
    "progress-.*": "progress is written by the LMS's own pages",
    "delete-documents-.*": "a method of the LMS's own pages",
    "undo-student-remakes-course-row": "the same: what a batch lets a student do",
    "batch-insert-many-one-duplicate": "one transaction of many: not used",
    "(c-)?batch-seats-group-by.*": "sums in lists: not used",
    "validate-billing-access-.*": "a method of the LMS's own pages",
    "(c-)?(batch-unenrol|program-add)-parallel-loser": (
        "two requests at once; the fault `error` stands for it"
    ),
    "batch-(enrol-mixed|put-add)-course-rows": "rows of batches that we don't fill",
    "batch-(dup-rows-list|oversold-.*)": "rows of a race that was lost on purpose",
}
PLAYED_OF_PRODUCTS = 66


def check_shape(sandbox, exchange):
    """Play one exchange, and compare the shape of the answer with what was recorded."""
    answer = Player(sandbox).play(exchange)
    told, path = exchange["response"], exchange["request"]["path"]
    theirs = shape_of(told["status"], told["json"], path)
    assert shape_of(answer.status_code, json_of(answer), path) == theirs


@pytest.mark.parametrize(
    "name", ["notb-enrol-unknown-course", "notb-enrol-missing-course-500"]
)
def test_site_without_tracebacks_tells_the_same_less_them(recorded, name):
    """A switch of hardened sites (System Settings)."""
    (exchange,) = [one for one in recorded if one["name"] == name]
    with LMSSandbox() as sandbox:
        fill(sandbox.site)
        sandbox.tracebacks = False
        check_shape(sandbox, exchange)


def test_unknown_site_is_a_page(recorded):
    """What a server with several sites answers to a Host that none of them has."""
    (exchange,) = [one for one in recorded if one["name"] == "unknown-site-host"]
    with LMSSandbox() as sandbox:
        sandbox.host = "lms.localhost"
        answer = requests.get(f"{sandbox.url}/api/method/ping", timeout=30)
        assert exchange["response"]["status"] == answer.status_code
        begin = "<!doctype html>\n<html lang=en>\n<title>404 "
        assert answer.text.startswith(begin)
        body = exchange["response"].get("text") or exchange["response"].get("body")
        assert body.startswith(begin)


@pytest.fixture
def products(shared_data):
    """Return the second recording, by name."""
    path = shared_data / "exchanges/frappe-lms-products.json"
    return {one["name"]: one for one in json.loads(path.read_text())}


def fill_products(site):
    """Put there what was on that server before; return names that it had."""
    for number in range(1, 70):
        site.add_user(f"buyer{number:02}@example.com", f"Buyer {number:02}")
    site.add_user("student@lms.test", "Stu")
    for name in ("prod-alpha", "prod-beta", "prod-done", "prod-gamma"):
        site.add_course(name)
    site.add_course("prod-paid", 49.0, "USD")
    site.add_batch("prod-open", "prod-alpha", "prod-beta")
    site.add_batch("prod-three", "prod-alpha", seat_count=3)
    site.add_batch("prod-self", "prod-alpha")
    site.add_batch("prod-unpub", "prod-alpha", published=0)
    site.add_batch("prod-paid-batch", "prod-paid", paid_batch=1, amount=99.0)
    for title, who in (("Prod Track", 42), ("Prod Track Two", 41)):
        members = [f"buyer{who}@example.com"]
        site.add_program(title, "prod-alpha", "prod-beta", members=members)
    names = {"232ogvr58o": enrolled(site, 51, "prod-done")}
    site.add_certificate("buyer51@example.com", "prod-done")
    names["ckeami38fb"] = enrolled(site, 68, "prod-gamma")
    names["5k0sjkblli"] = enrolled(site, 69, "prod-gamma")
    fields = {"address_title": "Buyer 31", "address_line1": "x", "city": "y"}
    address = site.insert("Address", fields | {"country": "z"})["name"]
    names |= {"Buyer%2031-Billing": address, "Buyer 31-Billing": address}
    sale = {
        "member": "buyer31@example.com",
        "billing_name": "Buyer 31",
        "address": address,
        "source": "Website",
        "payment_for_document_type": "LMS Course",
        "payment_for_document": "prod-paid",
        "amount": 49.0,
        "currency": "USD",
        "payment_received": 1,
        "payment_id": "ext-pi-0001",
        "order_id": "order-1",
    }
    names["j386a8oajc"] = site.insert("LMS Payment", sale)["name"]
    names["bgpot340ec"] = joined(site, 6, "prod-open")
    names["fgccs90qr1"] = joined(site, 54, "prod-open")
    names["5bg0jptgrf"] = joined(site, 3, "prod-open")
    names["dqe2l2sarh"] = joined(site, 7, "prod-three")
    for number in (8, 12):
        joined(site, number, "prod-three")
    return names


def enrolled(site, number, course, **more):
    """Enroll a buyer; return the row's name."""
    fields = {"member": f"buyer{number:02}@example.com", "course": course} | more
    return site.insert("LMS Enrollment", fields)["name"]


def joined(site, number, batch):
    """Let a buyer join a batch; return the row's name."""
    fields = {"member": f"buyer{number:02}@example.com", "batch": batch}
    return site.insert("LMS Batch Enrollment", fields)["name"]


#: Exchanges that follow after somebody has joined a batch: the buyer's number.
AFTER_JOINING = {
    "batch-enrol-duplicate": 1,
    "c-batch-enrol-duplicate": 1,
    "batch-enrol-list": 1,
    "batch-enrol-course-rows": 1,
    "enrol-course-after-batch": 1,
    "c-enrol-course-after-batch": 1,
    "c-enrol-course-after-batch-rows": 1,
    "shared-row": 67,
}


def prepare(site, name, names):
    """Do what came before an exchange."""
    if name in AFTER_JOINING:
        joined(site, AFTER_JOINING[name], "prod-open")
    if name == "batch-unenrol-again":
        site.delete("LMS Batch Enrollment", names["bgpot340ec"])
    if name == "payment-delete-linked":
        enrolled(site, 31, "prod-paid", payment=names["j386a8oajc"])
    if name == "payment-course-ok":
        site.delete("LMS Payment", names["j386a8oajc"])
    if name == "batch-enrol-move-put":
        row = names["5bg0jptgrf"]
        site.update("LMS Batch Enrollment", row, {"source": "Website"})
    if name == "refund-student-comes-back":
        sale = site.tables["LMS Payment"][names["j386a8oajc"]]
        sale["member"] = "student@lms.test"


def test_products_that_the_sync_asks_about(products):
    """Certificates, batches, programs and payments, each on a site of its own."""
    played, wrong = 0, {}
    for name, exchange in products.items():
        if any(re.fullmatch(pattern, name) for pattern in PRODUCTS_LEFT_OUT):
            continue
        with LMSSandbox() as sandbox:
            site, player = sandbox.site, Player(sandbox)
            player.names = fill_products(site)
            if exchange["server"] == "C":
                site.become_newer()
            prepare(site, name, player.names)
            answer = player.play(exchange, role_of(name))
            told, path = exchange["response"], exchange["request"]["path"]
            hides = {"tracebacks": site.is_newer}
            theirs = shape_of(told["status"], told.get("json"), path, **hides)
            ours = shape_of(answer.status_code, json_of(answer), path, **hides)
        played += 1
        if theirs != ours:
            wrong[name] = {"real": theirs, "sandbox": ours}
    assert wrong == {}
    assert played == PLAYED_OF_PRODUCTS


def test_every_reason_of_the_products_is_one(products):
    """No pattern that fits nothing."""
    for pattern in PRODUCTS_LEFT_OUT:
        assert any(re.fullmatch(pattern, name) for name in products), pattern


def role_of(name):
    """Return whose key an exchange of the second recording was made with."""
    if name.endswith("-sys"):
        return "System Manager"
    if name.endswith("-crea"):
        return "LMS Student + Course Creator"
    return "LMS Student" if "student" in name else "LMS Student + Moderator"


#: States of the machine by a pattern of the name: the fault that stands for it.
FAULTS = {
    "ratelimit-rejected-.*": ("throttled", 429, {"Retry-After": "60"}),
    "endpoint-ratelimit-429": ("error", 429, {"exc_type": "RateLimitExceededError"}),
    "maintenance-(get|post|ping|bad-token)": (
        *("error", 503),
        {"exc_type": "SessionStopped"},
    ),
    "maintenance-readonly-post": ("error", 503, {"exc_type": "InReadOnlyMode"}),
    "db-down-(get|star)": ("error", 500, {"exc_type": "OperationalError"}),
    "db-down-(post|ping)": ("html", 500, {}),
}


def class_of(body):
    """Return the class in a body, or that it is none of Frappe's."""
    return body.get("exc_type") if isinstance(body, dict) else "page"


def test_states_of_the_machine_have_a_fault_of_the_same_class(recorded):
    """Status, class and Retry-After: no client reads more of them."""
    seen = set()
    with LMSSandbox() as sandbox:
        fill(sandbox.site)
        for exchange in recorded:
            for pattern, (kind, status, headers) in FAULTS.items():
                if not re.fullmatch(pattern, exchange["name"]):
                    continue
                seen.add(pattern)
                sandbox.fail_next(".*", kind, status=status, headers=headers)
                answer, told = Player(sandbox).play(exchange), exchange["response"]
                waits = "retry-after" in {name.lower() for name in told["headers"]}
                theirs = told["status"], class_of(told.get("json")), waits
                ours = (
                    answer.status_code,
                    class_of(json_of(answer)),
                    "Retry-After" in answer.headers,
                )
                assert theirs == ours, exchange["name"]
    assert seen == FAULTS.keys()


@pytest.mark.parametrize(
    "name", ["user-create-throttled", "user-create-duplicate-while-throttled"]
)
def test_bound_of_users_per_hour_is_a_switch(recorded, name):
    """Refused before anything else is looked at."""
    (exchange,) = [one for one in recorded if one["name"] == name]
    with LMSSandbox() as sandbox:
        fill(sandbox.site)
        sandbox.site.throttle = 0
        check_shape(sandbox, exchange)
