# SPDX-License-Identifier: MIT
"""
What a wheel without any extra can do: run as a script, in a venv without drivers.

The core works whole on the public fakes; each missing driver says how to get it.
"""

from __future__ import annotations

import importlib.util
import sys

from frappe_enroll_sdk import EnrollSDK, Settings, errors
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.plugins import Plugins
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


def check(truth: object, what: str) -> None:
    """Say what does not hold, and end."""
    if not truth:
        sys.exit(f"bare install: {what}")


def main() -> None:
    """Check the bare install."""
    drivers = ["sqlalchemy", "stripe", "frappeclient", "werkzeug", "click", "requests"]
    drivers.append("jinja2")
    found = [name for name in drivers if importlib.util.find_spec(name)]
    check(not found, f"drivers are installed: {found}")
    clock, lms = FakeClock(), FakeLMS()
    lms.add_course("python-101")
    settings = Settings(public_url="http://127.0.0.1:5000", free_courses=True)
    with EnrollSDK(
        settings,
        storage=MemoryStorage(clock),
        payments=FakePayments(clock),
        lms=lms,
        clock=clock,
    ) as sdk:
        answer = sdk.checkout(course_id="python-101", email="ada@example.com")
        check(answer.status == "enrolled", f"a free course gave {answer.status}")
    for setting, extra in (("storage", "sql"), ("payments", "stripe"), ("lms", "lms")):
        given = {"storage": MemoryStorage(), "payments": FakePayments(), "lms": lms}
        del given[setting]
        try:
            EnrollSDK(Settings(public_url="http://127.0.0.1:5000"), **given)
        except errors.MissingExtraError as error:
            command = f"pip install 'frappe-enroll-sdk[{extra}]'"
            check(command in str(error), f"{setting}: {error}")
        else:
            check(None, f"{setting} was built without its driver")
    mail = {
        f"FRAPPE_ENROLL_MAIL_{name}": value
        for name, value in {"HOST": "127.0.0.1", "FROM": "a@example.com"}.items()
    }
    broken = {
        info.name: info.error
        for info in Plugins.from_settings(Settings(plugin_settings=mail)).infos
        if info.status == "broken"
    }
    check([*broken] == ["mail"], f"broken plugins: {broken}")
    command = "pip install 'frappe-enroll-sdk[mail]'"
    check(command in broken["mail"], f"mail: {broken}")
    sys.stdout.write("the bare install works\n")


if __name__ == "__main__":
    main()
