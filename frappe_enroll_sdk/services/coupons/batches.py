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

#: Most coupons created by one call.
MAX_COUPONS = 1_000_000
#: Coupons in one call to the store.
BATCH = 1000
#: Placeholder for a random character in a pattern.
BLANK = "#"
PATTERN = "####-####-####"
#: Codes that a pattern must have for each one created: the odds against a lucky guess.
_SPARSE = 1_000_000
#: Consecutive batches of only taken codes before the pattern counts as used up.
_MAX_TRIES = 20

Progress = Callable[[int], None]


@attrs.frozen(kw_only=True)
class Usage:
    """
    How coupons were used, counted while reading them.

    Attributes:
        coupons: Number of coupons.
        disabled: Of these, disabled by an operator.
        expired: Of these, expired.
        used_up: Of these, without a seat left.
        unused: Of these, without a taken seat.
        seats: Total number of seats.
        reserved: Seats held or bound.
        redeemed: Seats redeemed.
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
        """Return the counts including one more coupon."""
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
    Random codes in one format.

    Args:
        count: How many will be needed.
        prefix: Their start; may be empty.
        pattern: Each ``#`` becomes a random unambiguous letter or digit.
        ambient: Source of randomness.

    Raises:
        ValidationError: The format is not valid for codes, or has so few codes that
            guessing would find one.
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
        """Return this many different codes."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self.new()] = None
        return list(found)


def write(
    store: CouponStore, terms: Coupon, codes: Codes, count: int, progress: Progress
) -> Iterator[Coupon]:
    """
    Write `count` coupons with the same terms; yield each once it is written.

    Taken codes are replaced with others.

    Raises:
        ConflictError: Batch after batch has only taken codes.
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
    unreadable: Callable[[str], object] | None,
) -> Iterator[Coupon]:
    """Yield coupons in order of code, a page at a time; `prefix` filters them."""
    begin = prefix.upper() if prefix else None
    return walk(
        lambda cursor: store.list(
            prefix=begin, course_id=course_id, limit=BATCH, cursor=cursor
        ),
        unreadable,
    )
