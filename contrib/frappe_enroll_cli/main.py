# SPDX-License-Identifier: MIT
"""Entry point of the command: it imports a subcommand only when it runs."""

from __future__ import annotations

import importlib
from typing import Any

import click


__all__ = ["LazyGroup", "cli", "main"]

#: Where each command is.
_COMMANDS = {
    "admin-token": "frappe_enroll_cli._internal.tokens:admin_token",
    "affiliates": "frappe_enroll_cli._internal.affiliates:affiliates",
    "check": "frappe_enroll_cli._internal.system:check",
    "config": "frappe_enroll_cli._internal.system:config",
    "coupons": "frappe_enroll_cli._internal.coupons:coupons",
    "demo": "frappe_enroll_cli._internal.demo.command:demo",
    "enrollments": "frappe_enroll_cli._internal.enrollments:enrollments",
    "events": "frappe_enroll_cli._internal.events:events",
    "grants": "frappe_enroll_cli._internal.grants:grants",
    "jobs": "frappe_enroll_cli._internal.jobs:jobs",
    "maintain": "frappe_enroll_cli._internal.system:maintain",
    "plugins": "frappe_enroll_cli._internal.system:plugins",
    "quarantine": "frappe_enroll_cli._internal.quarantine:quarantine",
    "reconcile": "frappe_enroll_cli._internal.reconcile:reconcile",
    "serve": "frappe_enroll_cli._internal.serve:serve",
    "setup": "frappe_enroll_cli._internal.system:setup",
    "stats": "frappe_enroll_cli._internal.system:stats",
    "worker": "frappe_enroll_cli._internal.worker:worker",
}
_HELP = {
    "admin-token": "Create tokens for the admin surface.",
    "affiliates": "Register affiliates, show their balances, record payouts.",
    "check": "Check the deployment: state, cause and remedy.",
    "config": "Print the settings (with secrets masked) or a template.",
    "coupons": "Create, list, show, disable, import, export and count coupons.",
    "demo": "Run the whole flow on loopback and check it.",
    "enrollments": "List, show, revoke, reassign, export and erase enrollments.",
    "events": "List, show, replay, pull and prune payment events.",
    "grants": "Apply for, list, approve and reject grants.",
    "jobs": "List, show, retry, requeue, bury and prune jobs.",
    "maintain": "Run the housekeeping now.",
    "plugins": "List the installed plugins and their status.",
    "quarantine": "List, accept and dismiss payments that wait for an operator.",
    "reconcile": "Compare provider, enrollments and LMS, and repair differences.",
    "serve": "Serve API and dashboard on loopback to try them out.",
    "setup": "Create or upgrade the store's schema.",
    "stats": "Print the queue's statistics.",
    "worker": "Run due jobs.",
}


class LazyGroup(click.Group):
    """A group that imports commands only when needed: ``--help`` stays fast."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        """Prepare the output streams, then create the context."""
        from ._internal.terminal import print_anything  # noqa: PLC0415  `import` stays fast

        print_anything()
        return super().make_context(*arguments, **named)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's
        """Return the names without importing the commands."""
        return sorted(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return _of_plugins(cmd_name)
        module, _, name = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; our errors become exit codes (under a host, too)."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            click.secho(f"ERROR: {error}", fg="red", err=True)
            raise SystemExit(code) from error

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  click's
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list from the table of help texts."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_HELP.items()))


def _of_plugins(name: str) -> click.Command | None:
    """Return a plugin's command; it cannot replace ours."""
    from frappe_enroll_sdk.plugins import Plugins  # noqa: PLC0415  for plugins' commands only

    from ._internal.opened import settings  # noqa: PLC0415

    found = Plugins.from_settings(settings()).commands()
    ours = (command for command in found if isinstance(command, click.Command))
    return next((command for command in ours if command.name == name), None)


def _level(_: click.Context, __: click.Parameter, value: str) -> str:
    import logging  # noqa: PLC0415  `--help` needs no log

    level = value.strip().upper()
    known = logging.getLevelNamesMapping()
    if level not in known:
        words = ", ".join(name.lower() for name in known)
        raise click.BadParameter(f"{value!r} is not one of {words}")
    return level


@click.group(cls=LazyGroup)
@click.option(
    "--log-level",
    default="WARNING",
    callback=_level,
    envvar="LOG_LEVEL",
    show_envvar=True,
    help="Log level (the log goes to stderr).",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="LOG_FORMAT",
    show_envvar=True,
    help="Text for people, or one JSON object per line.",
)
@click.version_option(package_name="frappe-enroll-sdk")
def cli(log_level: str, log_format: str) -> None:
    """Turn a grant coupon or a payment into a Frappe LMS enrollment, exactly once."""
    from ._internal.logs import set_up  # noqa: PLC0415  `--help` needs no log

    set_up(log_level, log_format)


def main() -> Any:
    """Run the command."""
    return cli(standalone_mode=True)


def _exit_code(error: Exception) -> int | None:
    """Return the exit code of one of our errors (sysexits.h); None for any other."""
    from frappe_enroll_sdk import errors  # noqa: PLC0415  only on failure

    if not isinstance(error, errors.EnrollError):
        return None
    if isinstance(error, errors.ConfigurationError):
        return 78
    return 69 if error.retryable else 1
