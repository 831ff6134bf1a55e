# SPDX-License-Identifier: MIT
"""
``python -m frappe_enroll_sandbox``: run both servers on loopback until stopped.

It prints their URLs and credentials as one line of JSON; the LMS has one course for
sale. SIGTERM and SIGINT stop it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Sequence

from . import LMSSandbox, StripeSandbox


WEBHOOK_SECRET = "whsec_sandbox"
COURSE = "python-101"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0 = stopped on request, 1 = a port is in use."""
    options = _parser().parse_args(arguments)
    stop = {signal.SIGTERM, signal.SIGINT}
    # Blocked before any thread starts, so that no thread receives the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    stripe = StripeSandbox(port=options.stripe_port)
    lms = LMSSandbox(port=options.lms_port)
    lms.site.add_course(COURSE, 49.0, "USD", title="Python 101")
    for url in options.webhook:
        stripe.webhooks.add_endpoint(url, WEBHOOK_SECRET)
    with contextlib.ExitStack() as servers:
        try:
            servers.enter_context(stripe)
            servers.enter_context(lms)
        except OSError as error:
            print(f"cannot listen on the port: {error.strerror}", file=sys.stderr)  # noqa: T201  its output
            return 1
        print(json.dumps(_credentials(stripe, lms)), flush=True)  # noqa: T201  its output
        signal.sigwait(stop)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m frappe_enroll_sandbox",
        description="Serve stand-ins for the Stripe and Frappe LMS APIs on loopback.",
    )
    for name in ("stripe", "lms"):
        parser.add_argument(
            f"--{name}-port", type=int, default=0, help="0 = any free port"
        )
    parser.add_argument(
        "--webhook",
        action="append",
        default=[],
        metavar="URL",
        help=f"send events there, signed with {WEBHOOK_SECRET} (may be repeated)",
    )
    return parser


def _credentials(stripe: StripeSandbox, lms: LMSSandbox) -> dict[str, str]:
    """Return the credentials under the names of the SDK's settings."""
    return {
        "STRIPE_API_BASE": stripe.url,
        "STRIPE_SECRET_KEY": stripe.secret_key,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "FRAPPE_LMS_URL": lms.url,
        "FRAPPE_LMS_API_KEY": lms.api_key,
        "FRAPPE_LMS_API_SECRET": lms.api_secret,
    }


if __name__ == "__main__":
    raise SystemExit(main())
