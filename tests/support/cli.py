# SPDX-License-Identifier: MIT
"""The command in this process, over both sandboxes and a SQLite file."""

from __future__ import annotations

import json
import sys

import attrs
import click
import pytest

from frappe_enroll_cli._internal.opened import lend
from frappe_enroll_cli.main import cli, main


SECRET = "whsec_test_of_no_worth"


@attrs.frozen
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


def caller(capsys, monkeypatch):
    """Return what runs a command in this process."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["frappe-enroll", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        return Said(caught.value.code or 0, told.out, told.err)

    return call


def lender(capsys, sdk):
    """Return what runs a command on this SDK, clock and all, as under a host."""
    host = click.Context(cli)
    lend(host, sdk)

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments), prog_name="frappe-enroll", parent=host)
        told = capsys.readouterr()
        return Said(caught.value.code or 0, told.out, told.err)

    return call


def settings_of(stripe, lms, folder):
    """Return the environment of a whole service, without inline work."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/cli.sqlite3",
        "STRIPE_SECRET_KEY": stripe.secret_key,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe.url,
        "FRAPPE_LMS_URL": lms.url,
        "FRAPPE_LMS_API_KEY": lms.api_key,
        "FRAPPE_LMS_API_SECRET": lms.api_secret,
        "FRAPPE_ENROLL_PUBLIC_URL": "http://127.0.0.1:5000",
        "FRAPPE_ENROLL_INLINE_S": "0",
    }
