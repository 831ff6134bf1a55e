# SPDX-License-Identifier: MIT
"""Stop on signals, from the start of a command on, whatever happens to its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import click

from frappe_enroll_sdk.services.jobs.worker import stop_on_signals


class Stop:
    """
    The reaction of a command to the first SIGTERM or SIGINT.

    Before and after the work there is nothing to finish, so the command exits.

    Attributes:
        asked: Whether it was asked to stop.
    """

    def __init__(self) -> None:
        self.asked = False
        self._do: Callable[[], object] | None = None

    def on_signals(self) -> AbstractContextManager[None]:
        """Handle the signals within the context."""
        return stop_on_signals(self._asked)

    def note(self) -> None:
        """Only record it in `asked`."""

    def _asked(self) -> None:
        self.asked = True
        if self._do is None:
            raise SystemExit(0)
        self._do()

    @contextmanager
    def instead(self, do: Callable[[], object]) -> Iterator[None]:
        """Within the context, call `do` instead of exiting; `do` must take no lock."""
        self._do = do
        if self.asked:
            # Other code has swallowed our SystemExit.
            do()
        try:
            yield
        finally:
            self._do = None

    def after(
        self, tell: Callable[[int], object] = lambda _: None
    ) -> Callable[[int], None]:
        """Return a callback for after each step; it aborts once asked to stop."""

        def step(count: int) -> None:
            tell(count)
            if self.asked:
                raise click.Abort

        return step


@contextmanager
def ended(done: Callable[[], int], words: str) -> Iterator[None]:
    """Print on stderr how much was done if the work is interrupted."""
    try:
        yield
    except BaseException:
        if count := done():
            say(f"{count} {words}", err=True)
        raise


def say(text: str, *, err: bool = False) -> None:
    """Print, and ignore a closed stream: the work is done anyway."""
    try:
        click.echo(text, err=err)
    except (OSError, ValueError):
        # The reader of the pipe is gone, or the stream is closed.
        return
