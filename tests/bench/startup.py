# SPDX-License-Identifier: MIT
"""
How long a start takes, beside a bare interpreter: the minimum of ten runs each.

Prints JSON; ends with 1 when a budget is passed. Run by ``nox -s bench``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


RUNS = 10
#: Seconds above the bare interpreter (import), and in all (help).
BUDGETS = {"import": 0.100, "help": 0.300}
COMMANDS = {
    "bare": ["-c", "pass"],
    "dependencies": ["-c", "import attrs, cattrs, pluggy"],
    "import": ["-c", "import frappe_enroll_sdk"],
    "host": ["-c", "from frappe_enroll_sdk import EnrollSDK, Settings"],
    "help": ["-m", "frappe_enroll_cli", "--help"],
}


def fastest(arguments: list[str]) -> float:
    """Return the seconds of the fastest run."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Measure and print."""
    seconds = {name: fastest(arguments) for name, arguments in COMMANDS.items()}
    for name in ("import", "host", "dependencies"):
        seconds[name] -= seconds["bare"]
    told = {name: round(value * 1000, 1) for name, value in seconds.items()}
    told["host / dependencies"] = round(seconds["host"] / seconds["dependencies"], 2)
    sys.stdout.write(json.dumps({"milliseconds": told}) + "\n")
    sys.exit(any(seconds[name] > budget for name, budget in BUDGETS.items()))


if __name__ == "__main__":
    main()
