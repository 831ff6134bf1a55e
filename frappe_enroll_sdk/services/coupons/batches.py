# SPDX-License-Identifier: MIT
"""Many coupons at once: random codes, written in batches, and what became of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from ...errors import ConflictError, ValidationError
from ...ids import CODE_ALPHABET
from ...models import Coupon, walk
from .. import validate


if TYPE_CHECKING:
    from ...clock import Ambient
    from ...interfaces import CouponStore

#: Coupons that one call makes at the most.
MAX_COUPONS = 1_000_000
#: Coupons that go to the store at once.
BATCH = 1000
#: What stands for a random letter in a pattern.
BLANK = "#"
PATTERN = "####-####-####"
#: Codes that a pattern must have for each one that is made: so rare is a lucky guess.
_SPARSE = 1_000_000
#: Batches in a row that may be all taken before the pattern is called used up.
_MAX_TRIES = 20

Progress = Callable[[int], None]


@attrs.frozen(kw_only=True)
class Usage:
    """
    What became of coupons, counted while they were looked at.

    Attributes:
        coupons: How many.
        disabled: Of these, how many an operator has disabled.
        expired: How many are past their time.
        used_up: How many have no seat left.
        unused: How many have no seat taken.
        seats: Seats in all.
        reserved: Seats that are held or bound.
        redeemed: Seats that are redeemed.
    """

    coupons: int = 0
    disabled: int = 0
    expired: int = 0
    used_up: int = 0
    unused: int = 0
    seats: int = 0
    reserved: int = 0
    redeemed: int = 0

    def plus(self, coupon: Coupon, now: datetime) -> Usage:
        """Return the counts with one more coupon."""
        return Usage(
            coupons=self.coupons + 1,
            disabled=self.disabled + coupon.disabled,
            expired=self.expired + coupon.has_ended(now),
            used_up=self.used_up + coupon.is_used_up,
            unused=self.unused + (coupon.reserved + coupon.redeemed == 0),
            seats=self.seats + coupon.max_redemptions,
            reserved=self.reserved + coupon.reserved,
            redeemed=self.redeemed + coupon.redeemed,
        )


class Codes:
    """
    Random codes of one form.

    Args:
        count: How many will be made.
        prefix: What they begin with; may be empty.
        pattern: Each ``#`` is a random letter or digit that nobody confuses.
        ambient: Where randomness comes from.

    Raises:
        ValidationError: The form is not a code's, or has so few codes that somebody who
            guesses would find one.
    """

    def __init__(self, count: int, prefix: str, pattern: str, ambient: Ambient) -> None:
        self._ambient = ambient
        begin = validate.text(prefix, "prefix", most=40).upper() if prefix else ""
        form = validate.text(pattern, "pattern", most=64).upper()
        self._form = "-".join(part for part in (begin, form) if part)
        self.begin = self._form.partition(BLANK)[0]
        validate.code(self._form.replace(BLANK, CODE_ALPHABET[0]), "pattern")
        blanks = self._form.count(BLANK)
        needed = math.ceil(math.log(count * _SPARSE, len(CODE_ALPHABET)))
        if BLANK in begin or blanks < needed:
            raise ValidationError(
                f"pattern: needs {needed} or more {BLANK} for so many codes",
                field="pattern",
            )

    def new(self) -> str:
        """Return a new code."""
        letters = (
            self._ambient.choice(CODE_ALPHABET) if letter == BLANK else letter
            for letter in self._form
        )
        return "".join(letters)

    def several(self, count: int) -> list[str]:
        """Return as many codes, each once."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self.new()] = None
        return list(found)


def write(
    store: CouponStore, terms: Coupon, codes: Codes, count: int, progress: Progress
) -> Iterator[Coupon]:
    """
    Write `count` coupons of the same terms; yield each once it is written.

    A code that is taken is replaced by another.

    Raises:
        ConflictError: Batch after batch is taken.
    """
    done = tries = 0
    while done < count:
        wanted = min(BATCH, count - done)
        batch = [attrs.evolve(terms, code=code) for code in codes.several(wanted)]
        written = store.create_many(batch)
        fresh = [one for one, new in zip(batch, written, strict=True) if new]
        tries = 0 if fresh else tries + 1
        if tries == _MAX_TRIES:
            raise ConflictError("the codes of this pattern are used up")
        done += len(fresh)
        yield from fresh
        progress(done)


def each(
    store: CouponStore,
    *,
    prefix: str | None,
    course_id: str | None,
    unreadable: Callable[[str], object],
) -> Iterator[Coupon]:
    """Yield coupons by code, a page at a time; with a prefix, those that have it."""
    begin = prefix.upper() if prefix else None
    return walk(
        lambda cursor: store.list(
            prefix=begin, course_id=course_id, limit=BATCH, cursor=cursor
        ),
        unreadable,
    )
