# SPDX-License-Identifier: MIT
"""
A real browser walks the whole way, as a learner and as an operator.

Shop → payment page → return page → dashboard → timeline → dead letter → retry →
enrolled, with JavaScript and without, on SQLite and both sandboxes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import pytest
from support.realworld import SECRET, RealWorld
from support.size import LEAST

from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_sdk.models import Fact, JobState, PaymentEvent
from frappe_enroll_sdk.services.payments.webhook import payload_of


webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import (  # noqa: E402  after the skip
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service  # noqa: E402  after the skip
from selenium.webdriver.common.by import By  # noqa: E402


CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="chromium and chromedriver (Debian: chromium-driver) are not installed",
    ),
    pytest.mark.skipif(LEAST, reason="the browser differs: runs with the first Python"),
    pytest.mark.timeout(180),
]

ROOT = Path(__file__).parents[2]
TOKEN = "fea_token_of_the_walk_hidden"
EMAIL, NAME = "ada.lovelace@example.com", "Augusta Ada King"
#: Where to keep the pictures of the walk; nowhere unless it is named.
PICTURES = os.environ.get("ENROLL_SCREENSHOTS")
#: Everything that no log may hold.
HIDDEN = {
    "e-mail": EMAIL.partition("@")[0],
    "name": "Augusta",
    "admin token": TOKEN,
    "cookie key": "key-of-the-walk-hidden",
    "Stripe key": "sk_test_sandbox",
    "signing secret": SECRET,
    "LMS secret": "sandbox-secret",
    "session key": "shop-secret-hidden",
}


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """The shop's process over a world."""

    def __init__(self, folder, world):
        self.world, self.log = world, folder / "host.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        task = {
            "tests": str(ROOT / "tests"),
            "shop": str(ROOT / "examples" / "flask_shop" / "shop.py"),
            "urls": world.urls,
            "database": world.database,
            "log": str(self.log),
            "port": port,
            "secret": "shop-secret-hidden",
            "settings": {
                "public_url": f"{self.url}/enroll",
                "secret_key": "key-of-the-walk-hidden",
                "admin_tokens": f"operator:olga:{hash_token(TOKEN)}",
                "verify_after_s": 0,
                "retry_jitter": 0,
            },
        }
        path = folder / "task.json"
        path.write_text(json.dumps(task), encoding="utf-8")
        command = [sys.executable, str(Path(__file__).with_name("host.py")), str(path)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        world.stripe.webhooks.add_endpoint(f"{self.url}/enroll/webhooks/stripe", SECRET)

    def stop(self):
        """End the process."""
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture
def host(tmp_path):
    """Return a running shop whose LMS refuses enrolments until it is healed."""
    with RealWorld(tmp_path) as world:
        world.lms.fail_next(
            "POST .*LMS.{1,3}Enrollment$",
            "error",
            status=417,
            headers={"exc_type": "ValidationError"},
            times=None,
        )
        host = Host(tmp_path, world)
        yield host
        host.stop()


@pytest.fixture(params=["scripts", "no_scripts"])
def browser(request, tmp_path):
    """Return a browser, with JavaScript and without."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if request.param == "no_scripts":
        key = "profile.managed_default_content_settings.javascript"
        options.add_experimental_option("prefs", {key: 2})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.implicitly_wait(5)
    yield Walker(driver, scripts=request.param == "scripts")
    driver.quit()


class Walker:
    """What a person does with a browser."""

    def __init__(self, driver, *, scripts):
        self.driver, self.scripts = driver, scripts
        self.faults = []

    def open(self, url):
        """Type an address."""
        self.driver.get(url)

    def find(self, selector):
        """Return the first element that is there (or comes)."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def fill(self, selector, text):
        """Type into a field."""
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def click(self, selector):
        """Click on something."""
        self._click(By.CSS_SELECTOR, selector)

    def link(self, text):
        """Follow a link by its words."""
        self._click(By.LINK_TEXT, text)

    def _click(self, by, what):
        """Click; on the next page's where the one that was found goes with its page."""
        ends = time.monotonic() + 20
        while True:
            try:
                return self.driver.find_element(by, what).click()
            except StaleElementReferenceException:
                assert time.monotonic() < ends, what

    @property
    def text(self):
        """What a person reads; nothing while one page gives way to the next."""
        try:
            return self.find("body").text
        except WebDriverException as error:
            # Chromium has two errors for a node whose page has just gone.
            gone = "does not belong to the document" in str(error)
            if gone or isinstance(error, StaleElementReferenceException):
                return ""
            raise

    def wait_for(self, words, seconds=20, reload=False):
        """Look until the page has the words."""
        ends = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < ends, (words, self.text)
            time.sleep(0.2)
            if reload:
                self.driver.refresh()

    def look(self, name):
        """Take a picture, and look for faults that a person with aids would meet."""
        if PICTURES:
            kind = "scripts" if self.scripts else "plain"
            folder = Path(PICTURES)
            folder.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(folder / f"{name}-{kind}.png"))
        if self.scripts:
            self.faults += [(name, fault) for fault in faults_of(self.driver)]


def axe_source():
    """Return axe-core: the one that is named, else the one of a package, or None."""
    named = os.environ.get("ENROLL_AXE")
    if named:
        return Path(named).read_text(encoding="utf-8")
    try:
        file = resources.files("axe_core_python") / "axe.min.js"
    except ModuleNotFoundError:
        return None
    return file.read_text(encoding="utf-8")


def faults_of(driver):
    """Return the serious faults of accessibility that axe-core finds."""
    source = axe_source()
    if source is None:
        pytest.skip("axe-core is not installed (axe-core-python, or ENROLL_AXE)")
    driver.execute_script(source)
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(r => done(r.violations));"
    )
    return [
        (fault["id"], [node["target"] for node in fault["nodes"]])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def console_of(driver, url):
    """Return what the console complained about on our own pages."""
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING") and url in entry["message"]
    ]


def as_learner(walker, host):
    """Buy the course; the LMS refuses, and the learner is not troubled with it."""
    walker.open(host.url)
    walker.look("shop")
    walker.link("Python 101")
    walker.fill("#email", EMAIL)
    walker.fill("#name", NAME)
    walker.fill("#code", "NO-SUCH-CODE")
    walker.click("button")
    walker.wait_for("not valid for this course")
    walker.look("refused-code")
    walker.fill("#code", host.code)
    walker.click("button")
    walker.wait_for("24")
    assert "/pay/" in walker.driver.current_url
    walker.click("button[value=pay]")
    walker.wait_for("Your place is safe")
    walker.look("return")
    back = walker.driver.current_url
    walker.driver.switch_to.new_window("tab")
    walker.open(back.replace("/thanks", "/enroll/return"))
    walker.wait_for("Your course will be ready shortly")
    walker.look("own-return")


def as_learner_who_waits(walker, host):
    """Touch nothing: the shop's page and the SDK's own lead to the course."""
    shops, own, _operators = walker.driver.window_handles
    walker.driver.switch_to.window(shops)
    walker.wait_for("You are enrolled", seconds=40)
    walker.look("there")
    walker.driver.switch_to.window(own)
    ends = time.monotonic() + 40
    while not walker.driver.current_url.startswith(host.world.urls["lms"]):
        assert time.monotonic() < ends, walker.text
        time.sleep(0.2)


def as_operator(walker, host):
    """Find the dead letter, see why, mend it, retry: enrolled."""
    walker.open(f"{host.url}/enroll/admin/")
    assert walker.driver.current_url.endswith("/sign-in")
    walker.look("sign-in")
    walker.fill("#token", TOKEN)
    walker.click("main button")
    walker.wait_for("Dead jobs and events")
    walker.wait_for("check and retry", reload=True)
    walker.look("home")
    walker.click("a[href*='state=dead']")
    walker.look("jobs")
    walker.click("tbody a")
    walker.wait_for("Failed attempts")
    walker.look("job")
    walker.link("Learners")
    walker.fill("#q", EMAIL.upper())
    walker.click("[role=search] button")
    walker.look("learners")
    walker.link(EMAIL)
    walker.wait_for("The LMS does not have this learner yet")
    assert NAME in walker.text
    walker.look("timeline")
    host.world.lms.heal()
    walker.fill("#reason", "the course is published now")
    walker.click("button[value=retry]")
    walker.wait_for("The job is due now")
    walker.wait_for("enrolled", reload=True)
    walker.look("mended")
    quarantine_one(host.world.sdk)
    for page in ("events", "quarantine", "coupons", "audit", "system"):
        walker.open(f"{host.url}/enroll/admin/{page}")
        walker.look(page)
    walker.driver.set_window_size(390, 844)
    for page in ("", "enrollments", "quarantine"):
        walker.open(f"{host.url}/enroll/admin/{page}")
        walker.look(f"phone-{page or 'home'}")
    walker.click(".who button")
    walker.wait_for("Admin token")


def quarantine_one(sdk):
    """Store a payment of the other mode, as it waits for an operator."""
    now, name = sdk.clock.now(), "evt_of_the_other_mode"
    event = PaymentEvent(
        id=name,
        type="checkout.session.completed",
        created_at=now,
        livemode=True,
        fact=Fact.PAID,
        session_id="cs_live_1",
        payment_id="pi_live_1",
    )
    state = JobState.QUARANTINED
    sdk.storage.events.record(
        name, payload_of(event), now=now, state=state, outcome="mode_mismatch"
    )


def test_browser_walks_from_the_shop_to_the_mended_dead_letter(browser, host):
    """No console error, no serious fault of accessibility, nothing personal logged."""
    host.code = host.world.sdk.coupons.create(50, "python-101").code
    as_learner(browser, host)
    browser.driver.switch_to.new_window("tab")
    as_operator(browser, host)
    as_learner_who_waits(browser, host)
    (row,) = host.world.rows()
    assert (row.status, row.email) == ("enrolled", EMAIL)
    assert len(host.world.lms.site.enrollments(EMAIL, "python-101")) == 1
    audit = host.world.sdk.admin.audit().items
    sessions = {"sign_in", "sign_out"}
    assert sessions <= {entry.action for entry in audit}
    done = [entry.reason for entry in audit if entry.action not in sessions]
    assert done == ["the course is published now"]
    assert browser.faults == []
    # A refused form is an answer that the console reports as well.
    told = [m for m in console_of(browser.driver, host.url) if "/buy" not in m]
    assert told == []
    host.stop()
    log = host.log.read_text(encoding="utf-8")
    assert "DEBUG" in log
    for what, secret in (HIDDEN | {"code": host.code}).items():
        lines = [line for line in log.splitlines() if secret.lower() in line.lower()]
        assert lines == [], what
