# SPDX-License-Identifier: MIT
"""Stopping when asked: signals from the first moment on, and no output in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import click

from frappe_enroll_sdk.services.jobs.worker import stop_on_signals


class Stop:
    """
    What the first SIGTERM or SIGINT does to a command.

    Before anything runs, and after it, there is nothing to finish: the command ends.

    Attributes:
        asked: Whether it was asked to stop.
    """

    def __init__(self) -> None:
        self.asked = False
        self._do: Callable[[], object] | None = None

    def on_signals(self) -> AbstractContextManager[None]:
        """Handle the signals from here on."""
        return stop_on_signals(self._asked)

    def note(self) -> None:
        """Do no more than to note it in `asked`."""

    def _asked(self) -> None:
        self.asked = True
        if self._do is None:
            raise SystemExit(0)
        self._do()

    @contextmanager
    def instead(self, do: Callable[[], object]) -> Iterator[None]:
        """Within this, tell `do` and let what runs finish; `do` takes no lock."""
        self._do = do
        if self.asked:
            # Somebody else's code took the end that was meant for us.
            do()
        try:
            yield
        finally:
            self._do = None

    def after(
        self, tell: Callable[[int], object] = lambda _: None
    ) -> Callable[[int], None]:
        """Return what is told after each step, and ends the work when it was asked."""

        def step(count: int) -> None:
            tell(count)
            if self.asked:
                raise click.Abort

        return step


@contextmanager
def ended(done: Callable[[], int], words: str) -> Iterator[None]:
    """Say on stderr how much was done, where the work ends before its end."""
    try:
        yield
    except BaseException:
        if count := done():
            say(f"{count} {words}", err=True)
        raise


def say(text: str, *, err: bool = False) -> None:
    """Print where somebody listens: what was done is done, whoever hears of it."""
    try:
        click.echo(text, err=err)
    except (OSError, ValueError):
        # A pipe whose reader is gone, a stream that is closed.
        return
