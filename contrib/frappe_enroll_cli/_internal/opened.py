# SPDX-License-Identifier: MIT
"""
The SDK of a command: the host's, or else one built from the environment.

A host (such as the Flask extension) puts its SDK into the click context with `lend`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from frappe_enroll_sdk import EnrollSDK, Settings


_KEY = "frappe_enroll_cli.sdk"


def lend(context: click.Context, sdk: EnrollSDK) -> None:
    """Make the commands in this context use a host's SDK, and leave it open."""
    context.meta[_KEY] = sdk


def _lent() -> EnrollSDK | None:
    context = click.get_current_context(silent=True)
    found: EnrollSDK | None = context.meta.get(_KEY) if context else None
    return found


@contextmanager
def opened_sdk(**options: Any) -> Iterator[EnrollSDK]:
    """Yield the SDK of this command; close it afterwards if it was created here."""
    lent = _lent()
    if lent is not None:
        yield lent
        return
    with EnrollSDK(Settings.from_env(), **options) as sdk:
        yield sdk


def settings() -> Settings:
    """Return the settings of this command, without building any backend."""
    lent = _lent()
    return lent.settings if lent is not None else Settings.from_env()
