# SPDX-License-Identifier: MIT
"""The command's entry: groups are imported when they are called."""

from __future__ import annotations

import importlib
from typing import Any

import click


#: Command → where it lives.
_COMMANDS = {
    "admin-token": "frappe_enroll_cli.tokens:admin_token",
    "affiliates": "frappe_enroll_cli.affiliates:affiliates",
    "check": "frappe_enroll_cli.system:check",
    "config": "frappe_enroll_cli.system:config",
    "coupons": "frappe_enroll_cli.coupons:coupons",
    "demo": "frappe_enroll_cli.demo.command:demo",
    "enrollments": "frappe_enroll_cli.enrollments:enrollments",
    "events": "frappe_enroll_cli.events:events",
    "grants": "frappe_enroll_cli.grants:grants",
    "jobs": "frappe_enroll_cli.jobs:jobs",
    "maintain": "frappe_enroll_cli.system:maintain",
    "plugins": "frappe_enroll_cli.system:plugins",
    "quarantine": "frappe_enroll_cli.quarantine:quarantine",
    "reconcile": "frappe_enroll_cli.reconcile:reconcile",
    "serve": "frappe_enroll_cli.serve:serve",
    "setup": "frappe_enroll_cli.system:setup",
    "stats": "frappe_enroll_cli.system:stats",
    "worker": "frappe_enroll_cli.worker:worker",
}
_HELP = {
    "admin-token": "Make tokens of the admin surface.",
    "affiliates": "Register affiliates, show their balances, pay out.",
    "check": "Examine the deployment: state, cause and mend.",
    "config": "Print the settings, secrets masked, or a template.",
    "coupons": "Create, list, show, disable, import, export and count coupons.",
    "demo": "Play the whole path on loopback and check it.",
    "enrollments": "List, show, revoke, reassign, export and erase enrollments.",
    "events": "List, show, replay, pull and prune payment events.",
    "grants": "Apply for, list, approve and reject grants.",
    "jobs": "List, show, retry, requeue, bury and prune jobs.",
    "maintain": "Do the housekeeping now.",
    "plugins": "List the installed plugins and what became of them.",
    "quarantine": "List, accept and dismiss payments that wait for an operator.",
    "reconcile": "Compare provider, enrollments and LMS, and repair.",
    "serve": "Serve API and dashboard on loopback for a quick start.",
    "setup": "Create or upgrade the store's schema.",
    "stats": "Print the queue's numbers.",
    "worker": "Work through what is due.",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for: ``--help`` stays fast."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        """Begin: from here on something may be printed."""
        from .terminal import print_anything  # noqa: PLC0415  `import` stays fast

        print_anything()
        return super().make_context(*arguments, **named)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's
        """Return the names, without importing anything."""
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
        """Run the command; our errors become exit codes, here and under a host."""
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
        """Write the list from the table of texts."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_HELP.items()))


def _of_plugins(name: str) -> click.Command | None:
    """Return a command that a plugin brings; ours can't be replaced."""
    from frappe_enroll_sdk.plugins import Plugins  # noqa: PLC0415  foreign names only

    from .opened import settings  # noqa: PLC0415

    found = Plugins.from_settings(settings()).commands()
    ours = (command for command in found if isinstance(command, click.Command))
    return next((command for command in ours if command.name == name), None)


def _level(_: click.Context, __: click.Parameter, value: str) -> str:
    import logging  # noqa: PLC0415  `--help` needs no log

    level = value.strip().upper()
    known = logging.getLevelNamesMapping()
    if level not in known:
        words = ", ".join(name.lower() for name in known)
        raise click.BadParameter(f"{value!r} is none of {words}")
    return level


@click.group(cls=LazyGroup)
@click.option(
    "--log-level",
    default="WARNING",
    callback=_level,
    envvar="LOG_LEVEL",
    show_envvar=True,
    help="Level of the log on stderr.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="LOG_FORMAT",
    show_envvar=True,
    help="Lines for people, or one JSON object per line.",
)
@click.version_option(package_name="frappe-enroll-sdk")
def cli(log_level: str, log_format: str) -> None:
    """Turn a grant coupon or a payment into a Frappe LMS enrollment, exactly once."""
    from .logs import set_up  # noqa: PLC0415  `--help` needs no log

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
