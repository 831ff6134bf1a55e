# SPDX-License-Identifier: MIT
"""
Made-up words in every field; whatever is written anywhere is looked through for them.

A web process, a worker and the commands run at DEBUG, on either store, with mails,
alerts and metrics; backends fail in between, and strangers guess. What each place may
hold is said beside it: nothing that is not said is allowed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookies import SimpleCookie
from pathlib import Path

import click
import pytest
from integration.test_alerts import Receiver
from support.mailbox import Mailbox, self_signed
from support.size import LEAST, SERVER_DIFFERS, with_the_first_python

from frappe_enroll_cli.main import cli
from frappe_enroll_sandbox import LMSSandbox, StripeSandbox
from frappe_enroll_sdk.ids import hash_token


COURSE = "python-101"
#: Fields of people. Each word is in no other text.
PEOPLE = {
    "address": "zanaddress",
    "second address": "zanother",
    "name": "zanname",
    "code": "zancode",
    "code of a share": "zanshare",
    "answer": "zananswer",
    "affiliate's address": "zanaffiliate",
    "affiliate's name": "zanpartner",
    "unknown code": "zanguess",
}
#: What lets somebody in.
SECRETS = {
    "Stripe key": "sk_test_zanstripe",
    "webhook secret": "whsec_zanwebhook_secret",
    "LMS key": "zanlmskey",
    "LMS secret": "zanlmssecret",
    "cron secret": "zancron-secret-of-sixteen",
    "cookie key": "zancookie-key-of-sixteen",
    "operator's token": "fea_zanoperator_of_sixteen",
    "viewer's token": "fea_zanviewer_of_sixteen",
    "wrong token": "fea_zanwrong_of_sixteen",
    "idempotency key": "zanidempotency-key",
    "mail password": "zanmailpassword",
    "alert path": "zanalertpath",
    "alert secret": "zanalert-secret-of-sixteen",
    "mongo password": "zanmongopassword",
    "redis password": "zanredispassword",
}
OPERATOR = "operator's token"
EMAIL, OTHER = "zanaddress@example.com", "zanother@example.com"
NAME, CODE, SHARE = "Zanname von Test", "ZANCODE-77", "ZANSHARE-77"
COMMAND = [sys.executable, "-m", "frappe_enroll_cli"]
SAME = {"Sec-Fetch-Site": "same-origin"}


def wait(ready, what, seconds=40):
    """Return the first true answer."""
    ends = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < ends, what
        time.sleep(0.05)
    return found


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spellings(word):
    """Return how a word may stand in a text: plain, in Base64 at any offset."""
    found = {word.lower()}
    for offset in range(3):
        raw = base64.b64encode(b"x" * offset + word.encode())
        # The first and last characters depend on the neighbours.
        found.add(raw[offset and 4 : -4].decode().lower())
    return {spelling for spelling in found if len(spelling) > 5}


def told(text, words):
    """Return the names of the words that a text holds."""
    text = text.lower()
    return {
        name
        for name, word in words.items()
        if any(spelling in text for spelling in spellings(word))
    }


@contextlib.contextmanager
def sqlite(folder, request):
    """Yield the settings of a file, and what reads all that is stored."""
    path = folder / "store" / "enroll.sqlite3"
    path.parent.mkdir()

    def stored():
        files = list(path.parent.iterdir())
        assert {p.name.removeprefix(path.name) for p in files} >= {"", "-wal", "-shm"}
        assert {p.stat().st_mode & 0o777 for p in files} == {0o600}
        return "\n".join(p.read_bytes().decode("latin-1") for p in files)

    yield {"DATABASE_URL": f"sqlite:///{path}"}, stored


@contextlib.contextmanager
def mongo(folder, request):
    """Yield the settings of a database with a user, and what reads all of it."""
    if LEAST:
        pytest.skip(SERVER_DIFFERS)
    pymongo = pytest.importorskip("pymongo")
    base = request.getfixturevalue("mongod").uri
    user, password = f"user_{secrets.token_hex(4)}", SECRETS["mongo password"]
    name = f"canaries_{secrets.token_hex(4)}"
    with pymongo.MongoClient(base) as client:
        client.admin.command("createUser", user, pwd=password, roles=["root"])
        uri = base.replace("mongodb://", f"mongodb://{user}:{password}@")
        uri += "&authSource=admin" if "?" in uri else "?authSource=admin"

        def stored():
            database = client[name]
            found = [list(database[c].find()) for c in database.list_collection_names()]
            assert any(found)
            return str(found)

        yield {"MONGODB_URI": uri, "MONGODB_DATABASE": name}, stored
        client.drop_database(name)
        client.admin.command("dropUser", user)


class Deployment:
    """A web process, a worker and commands; a context manager."""

    def __init__(self, folder, store, box, certificate, alerts):
        self.folder, self.work = folder, folder / "work"
        self.work.mkdir()
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stripe = StripeSandbox(secret_key=SECRETS["Stripe key"])
        self.lms = LMSSandbox()
        self.lms.api_key, self.lms.api_secret = (
            SECRETS["LMS key"],
            SECRETS["LMS secret"],
        )
        self.issued, self.said, self._running = {}, {}, {}
        self._stack = contextlib.ExitStack()
        self.given = store | {
            "STRIPE_SECRET_KEY": SECRETS["Stripe key"],
            "STRIPE_WEBHOOK_SECRET": SECRETS["webhook secret"],
            "FRAPPE_LMS_API_KEY": SECRETS["LMS key"],
            "FRAPPE_LMS_API_SECRET": SECRETS["LMS secret"],
            "FRAPPE_ENROLL_PUBLIC_URL": self.url,
            "FRAPPE_ENROLL_CRON_SECRET": SECRETS["cron secret"],
            "FRAPPE_ENROLL_SECRET_KEY": SECRETS["cookie key"],
            "FRAPPE_ENROLL_ADMIN_TOKENS": ",".join(
                f"{role}:{role}:{hash_token(SECRETS[f'''{role}'s token'''])}"
                for role in ("operator", "viewer")
            ),
            "FRAPPE_ENROLL_RATE_LIMITS": "checkout=500/900,grant=500/900",
            # Nobody is there: it is told that requests are counted in memory.
            "FRAPPE_ENROLL_RATE_LIMIT_STORAGE": (
                f"redis://:{SECRETS['redis password']}@127.0.0.1:9/0"
            ),
            "FRAPPE_ENROLL_ACCOUNT_CHECK": "1",
            "FRAPPE_ENROLL_RETRY_SCHEDULE_S": "0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2",
            "FRAPPE_ENROLL_RETRY_JITTER": "0",
            "FRAPPE_ENROLL_GATE_CLOSED_S": "0.2",
            "FRAPPE_ENROLL_VERIFY_AFTER_S": "0.2",
            "FRAPPE_ENROLL_TRACE_PLUGINS": "1",
            "FRAPPE_ENROLL_MAIL_HOST": "127.0.0.1",
            "FRAPPE_ENROLL_MAIL_PORT": str(box.port),
            "FRAPPE_ENROLL_MAIL_CA_FILE": str(certificate),
            "FRAPPE_ENROLL_MAIL_USER": "courses",
            "FRAPPE_ENROLL_MAIL_PASSWORD": SECRETS["mail password"],
            "FRAPPE_ENROLL_MAIL_FROM": "School <school@example.com>",
            "FRAPPE_ENROLL_MAIL_OPERATORS": "ops@example.com",
            "FRAPPE_ENROLL_ALERTS_WEBHOOK_URL": alerts.url.replace(
                "T0KEN", SECRETS["alert path"]
            ),
            "FRAPPE_ENROLL_ALERTS_WEBHOOK_SECRET": SECRETS["alert secret"],
            "LOG_LEVEL": "DEBUG",
            "ENROLL_ACTOR": "olga",
            "TMPDIR": str(self.work),
        }

    def __enter__(self):
        # Where it does not come up, nothing is left running.
        with self._stack:
            self._stack.enter_context(self.stripe)
            self._stack.enter_context(self.lms)
            self.lms.site.add_course(COURSE, 49.0, "USD", title="Python 101")
            self.given |= {
                "STRIPE_API_BASE": self.stripe.url,
                "FRAPPE_LMS_URL": self.lms.url,
            }
            self.command("setup")
            self._start("web", "serve", "--port", str(self.port))
            self._start("worker", "worker", "--metrics-port", str(self.metrics_port))
            wait(self._is_up, "the server is up", 90)
            self.stripe.webhooks.add_endpoint(
                f"{self.url}/webhooks/stripe", SECRETS["webhook secret"]
            )
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _environ(self):
        return os.environ | self.given

    def _start(self, name, *arguments):
        out = (self.work / f"{name}.out").open("wb")
        err = (self.work / f"{name}.err").open("wb")
        with out, err:
            self._running[name] = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=self.work,
                env=self._environ(),
                stdout=out,
                stderr=err,
            )
        self._stack.callback(self._kill, self._running[name])

    def _kill(self, process):
        process.kill()
        process.wait(20)

    def _is_up(self):
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def command(self, *arguments, more=None, name=""):
        """Run a command to its end; keep what it said."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.work,
            env=self._environ() | (more or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.said[(*arguments, name)] = (done.stdout, done.stderr)
        return done

    def call(self, method, path, fields=None, headers=None, form=None):
        """Send a request; return status, body and headers."""
        headers = dict(headers or {})
        data = None
        if fields is not None:
            data = json.dumps(fields).encode()
            headers["Content-Type"] = "application/json"
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
        url = path if "://" in path else self.url + path
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  loopback
        opener = urllib.request.build_opener(_Stay)
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    def checkout(self, **fields):
        """Post a checkout; note its token."""
        status, body, _ = self.call(
            "POST",
            "/checkout",
            {"course_id": COURSE, "email": EMAIL, "full_name": NAME} | fields,
            {"Idempotency-Key": SECRETS["idempotency key"] + secrets.token_hex(4)},
        )
        made = json.loads(body)
        if made.get("token"):
            self.issued[f"token {len(self.issued)}"] = made["token"]
        return status, made

    def arguments(self):
        """Return the command lines of what runs."""
        return "\n".join(
            Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
            for process in self._running.values()
        )

    def written(self):
        """Return what the processes wrote into files, logs included, by name."""
        return {
            str(path.relative_to(self.work)): path.read_bytes().decode("latin-1")
            for path in self.work.rglob("*")
            if path.is_file()
        }

    def stop(self):
        """End the processes as a supervisor does."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(40)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        """Follow none."""


def play_learners(site):
    """A grant, a payment with an affiliate and a share, a cancel, and what fails."""
    site.lms.fail_next("POST .*Enrollment", "error", status=500)
    site.lms.fail_next("GET .*User.*", "html", status=502)
    site.stripe.fail_next("POST .*sessions", "status", status=500)
    status, answer = site.checkout(coupon_code=CODE)
    assert status == 201, answer
    site.checkout(coupon_code="ZANGUESS-1")
    site.checkout(email="zanaddress@@example.com", nonsense=EMAIL)
    for _ in range(20):
        status, opened = site.checkout(
            email=OTHER, coupon_code=SHARE, affiliate="zanaffiliate@example.com"
        )
        if status == 201:
            break
        time.sleep(0.3)
    assert status == 201, opened
    session = opened["payment_url"].rpartition("/")[2].partition("#")[0]
    own = {"Enrollment-Token": opened["token"]}
    path = f"/enrollments/{opened['enrollment_id']}"
    assert site.call("GET", path, headers=own)[0] == 200
    assert site.call("GET", path, headers={"Enrollment-Token": "x" * 20})[0] == 403
    preview = {"course_id": COURSE, "email": OTHER, "code": SHARE}
    assert site.call("POST", "/coupons/preview", preview)[0] == 200
    site.call("POST", "/accounts/check", {"email": EMAIL})
    form = {"course_id": COURSE, "email": "zanaddress+grant@example.com"}
    form |= {"full_name": NAME, "answers": {"why": "zananswer"}}
    assert site.call("POST", "/grants", form)[0] == 202
    site.stripe.account.pay(session)
    assert site.stripe.webhooks.wait_idle()
    site.call("GET", f"/return?session_id={session}")
    status, third = site.checkout(email="zanother+c@example.com")
    assert status == 201
    own = {"Enrollment-Token": third["token"]}
    path = f"/enrollments/{third['enrollment_id']}/cancel"
    assert site.call("POST", path, {}, own)[0] == 200


def play_preparations(site):
    """A share of a code, and an affiliate."""
    bearer = {"Authorization": f"Bearer {SECRETS[OPERATOR]}"}
    for path, fields in (
        ("coupons", {"percent_off": 50, "course_id": COURSE, "code": SHARE}),
        (
            "affiliates",
            {"email": "zanaffiliate@example.com", "full_name": "Zanpartner"},
        ),
    ):
        status, body, _ = site.call(
            "POST", f"/admin/api/{path}", fields | {"reason": "because"}, bearer
        )
        assert status in {200, 201}, body


def play_operators(site):
    """Bearer, cookie, cron, scrape; and whoever guesses at each."""
    for token in ("operator's token", "viewer's token", "wrong token"):
        bearer = {"Authorization": f"Bearer {SECRETS[token]}"}
        site.call("GET", f"/admin/api/enrollments?email={EMAIL}", headers=bearer)
        for path in ("coupons", "audit", "jobs", "events", "grants", "affiliates"):
            site.call("GET", f"/admin/api/{path}", headers=bearer)
        site.call("POST", "/admin/api/enrollments/search", {"q": EMAIL}, bearer)
        site.call("GET", "/metrics", headers=bearer)
        answer = site.call(
            "POST", "/admin/sign-in", headers=SAME, form={"token": SECRETS[token]}
        )
        cookie = SimpleCookie(answer[2].get("Set-Cookie", ""))
        for morsel in cookie.values():
            site.issued[f"cookie of the {token}"] = morsel.value
            headers = SAME | {"Cookie": f"{morsel.key}={morsel.value}"}
            for path in ("", "enrollments", "coupons", "jobs", "audit"):
                assert site.call("GET", f"/admin/{path}", headers=headers)[0] == 200
            site.call("POST", "/admin/sign-out", headers=headers, form={"x": "1"})
    for secret in (SECRETS["cron secret"], SECRETS["wrong token"]):
        headers = {"Authorization": f"Bearer {secret}"}
        site.call("POST", "/cron/run", headers=headers)
    site.call("POST", "/webhooks/stripe", {"email": EMAIL}, {"Stripe-Signature": "t=1"})


def play_commands(site):
    """What an operator does at a terminal, in failure too."""
    reason = ("--reason", "because")
    for arguments in (
        ("check",),
        ("config",),
        ("enrollments", "show", EMAIL),
        ("reconcile",),
        ("events", "list"),
        ("enrollments", "erase", "--email", EMAIL, *reason),
    ):
        site.command(*arguments)
    wrong = {"FRAPPE_LMS_API_SECRET": f"{SECRETS['LMS secret']}-but-wrong"}
    user = f"https://{SECRETS['LMS key']}:{SECRETS['LMS secret']}@lms.example.com"
    for name, more in (("wrong key", wrong), ("user in it", {"FRAPPE_LMS_URL": user})):
        assert site.command("check", more=more, name=name).returncode in {69, 78}


#: Commands that tell an operator of people: what they are for.
OF_PEOPLE = {"affiliates", "coupons", "enrollments", "events", "jobs", "reconcile"}
#: What a mail may hold: what it tells its reader of himself.
IN_MAILS = {"address", "second address", "name", "code", "code of a share"}


def look(site, box, alerts, scraped, arguments, stored):
    """Check every place; tell all that is wrong at once."""
    keys = SECRETS | site.issued
    everything = PEOPLE | keys
    files = site.written()
    places = {name: (text, everything) for name, text in files.items()}
    places["arguments"] = (arguments, everything)
    places["metrics"] = (scraped, everything)
    for (group, *rest), (out, err) in site.said.items():
        name = " ".join((group, *rest))
        places[f"stderr of {name}"] = (err, everything)
        places[f"stdout of {name}"] = (out, keys if group in OF_PEOPLE else everything)
    for number, (body, header) in enumerate(alerts.posts):
        places[f"alert {number}"] = (f"{body.decode()} {header}", everything)
    allowed = {name: w for name, w in everything.items() if name not in IN_MAILS}
    for number, mail in enumerate(box.mails()):
        parts = [
            part.get_content()
            for part in mail.walk()
            if part.get_content_type() != "multipart/alternative"
        ]
        text = "\n".join([str(mail.items()), *map(str, parts)])
        places[f"mail {number}"] = (text, allowed)
    places["store"] = (stored, keys)
    found = {name: told(*place) for name, place in places.items()}
    assert {name: words for name, words in found.items() if words} == {}
    # The same look finds what is there.
    assert told(stored, PEOPLE) >= {"address", "name", "code", "affiliate's address"}
    assert set(site.issued) >= {"token 0", "token 1", "cookie of the operator's token"}
    for name in ("web", "worker"):
        assert files[f"{name}.out"] == ""
        assert files.keys() == {"web.out", "web.err", "worker.out", "worker.err"}
    log = files["web.err"] + files["worker.err"]
    assert {d for d in DRIVERS if f" {d}" not in log} == set(), log[-2000:]
    assert (" pymongo.connection: " in log) == ("MONGODB_URI" in site.given)


#: Whose lines have to be in the log, or nothing was looked at.
DRIVERS = {"stripe: ", "urllib3.connectionpool: ", "werkzeug: "}


@with_the_first_python
@pytest.mark.timeout(480)
@pytest.mark.parametrize("store", [sqlite, mongo], ids=["sqlite", "mongo"])
def test_nothing_tells_what_it_should_not(store, tmp_path, request):
    """Logs, streams, arguments, files, mails, alerts, metrics, and what is stored."""
    context, certificate = self_signed(tmp_path)
    with contextlib.ExitStack() as stack:
        opened, stored = stack.enter_context(store(tmp_path, request))
        box = stack.enter_context(
            Mailbox(starttls=context, password=SECRETS["mail password"])
        )
        alerts = stack.enter_context(Receiver())
        site = Deployment(tmp_path, opened, box, certificate, alerts)
        stack.enter_context(site)
        site.command(
            *("coupons", "create", "--course", COURSE, "--percent", "100"),
            *("--code", CODE),
        )
        play_preparations(site)
        play_learners(site)
        play_operators(site)
        enrolled = site.lms.site.enrollments
        for email in (EMAIL, OTHER):
            wait(lambda email=email: enrolled(email, COURSE), f"{email} is enrolled")
        wait(lambda: len(box.taken) >= 2, "the mails are sent")
        site.stripe.account.warn(next(iter(site.stripe.account.payments)))
        site.stripe.webhooks.wait_idle()
        wait(lambda: alerts.posts, "the alert is posted")
        scraped = site.call("GET", f"http://127.0.0.1:{site.metrics_port}/metrics")[1]
        arguments = site.arguments()
        kept = stored()
        play_commands(site)
        site.stop()
        look(site, box, alerts, scraped, arguments, kept)


def options_of(group, path=()):
    """Yield the options and arguments of every command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from options_of(command, (*path, name))
        else:
            yield from ((*path, name, p.name) for p in command.params)


def test_no_command_takes_a_secret_as_an_argument():
    """Whoever may list processes reads arguments."""
    names = list(options_of(cli))
    assert len(names) > 50
    secret = re.compile(r"token|secret|password|key$")
    assert [n for n in names if secret.search(n[-1])] == []
