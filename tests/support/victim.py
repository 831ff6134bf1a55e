# SPDX-License-Identifier: MIT
"""
A process of its own over the sandboxes and a SQLite file, killed where it is told.

``python victim.py '<JSON>'``: `urls`, `database`, `offset_s`, `do` (verbs of the SDK
with their arguments, or "webhook"), `wait` (say "ready" and begin at a line), and
`die` = [when, verb, which call of it]. It ends by SIGKILL before or after that call, or
prints the outcome as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_sdk.testing.faults import Tap
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_stripe.gateway import StripePayments


def settings_of(urls, database, **more):
    """Return the settings that every process over the sandboxes shares."""
    given = {
        "database_url": f"sqlite:///{database}",
        "stripe_secret_key": Secret("sk_test_sandbox"),
        "stripe_webhook_secret": (Secret("whsec_test_secret"),),
        "stripe_api_base": urls["stripe"],
        "frappe_lms_url": urls["lms"],
        "frappe_lms_api_key": Secret("sandbox-key"),
        "frappe_lms_api_secret": Secret("sandbox-secret"),
        "public_url": "http://127.0.0.1:5000",
    }
    return Settings(**given | more)


class Executioner:
    """Counts calls by verb and kills the process at one of them."""

    def __init__(self, die) -> None:
        self.when, self.verb, self.number = die or ("", "", 0)
        self.calls = Counter()
        self.log = []

    def before(self, verb) -> None:
        """Count a call; die before it."""
        self.calls[verb] += 1
        self.log.append(verb)
        self._maybe("before", verb)

    def after(self, verb) -> None:
        """Die after a call: its answer is lost."""
        self._maybe("after", verb)

    def _maybe(self, when, verb) -> None:
        number = len(self.log) if self.verb == "*" else self.calls[verb]
        if (when, number) == (self.when, self.number) and self.verb in ("*", verb):
            os.kill(os.getpid(), signal.SIGKILL)


def build(task, executioner):
    """Return an SDK on the real plugins, with the executioner around them."""
    settings = settings_of(task["urls"], task["database"], **task.get("settings", {}))
    clock = OffsetClock(task.get("offset_s", 0))

    def tap(backend, name):
        return Tap(backend, executioner.before, executioner.after, name)

    return EnrollSDK(
        settings,
        storage=tap(SQLStorage.from_settings(settings, clock), ""),
        payments=tap(StripePayments.from_settings(settings, clock), "payments"),
        lms=tap(FrappeLMS.from_settings(settings, clock), "lms"),
        clock=clock,
        discover=False,
        plugins=[load(name) for name in task.get("plugins", ())],
    )


def load(name):
    """Import a plugin by its dotted path."""
    module, _, attribute = name.partition(":")
    __import__(module)
    found = sys.modules[module]
    return getattr(found, attribute)() if attribute else found


def run(task) -> None:
    """Do what the task says, as often as it says."""
    executioner = Executioner(task.get("die"))
    sdk = build(task, executioner)
    if task.get("wait"):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
    outcomes = []
    for verb, arguments in task["do"]:
        try:
            if verb == "webhook":
                answer = sdk.handle_webhook(
                    arguments["body"].encode(), arguments["headers"]
                )
                outcomes.append(answer.outcome)
            else:
                answer = getattr(sdk, verb)(**arguments)
                outcomes.append(str(getattr(answer, "status", "done")))
        except EnrollError as error:
            outcomes.append(error.code)
    sys.stdout.write(json.dumps({"outcomes": outcomes, "log": executioner.log}))


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
