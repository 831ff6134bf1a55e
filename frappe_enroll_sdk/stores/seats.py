# SPDX-License-Identifier: MIT
"""
A coupon's seats: one row each, numbered, in the hands of one holder or free.

The key is the code and the number, so that no two holders have one seat; a unique index
on (code, holder) keeps one holder off two seats. A seat's row stays for good: given
back, it is free again. Pure: what a seat's cells are in each state.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..interfaces.tables import KEY, Cell, Query, Row
from ..models import Seat, SeatState
from .records import moment_of, ms_of


__all__ = ("held", "seat_of", "takeable")


#: State of a seat that was given back.
FREE = "free"
#: What no code contains; the character after it ends the range of a code's seats.
_MARK, _AFTER_MARK = "#", "$"


def key_of(code: str, number: int) -> str:
    """Return the key of a code's seat; sorts by number within a code."""
    return f"{code}{_MARK}{number:08d}"


def number_of(key: str) -> int:
    """Return a seat's number."""
    return int(key.rpartition(_MARK)[2])


def all_of(code: str) -> Query:
    """Return the query for all seats of a code, by number."""
    return Query(KEY, low=f"{code}{_MARK}", high=f"{code}{_AFTER_MARK}")


def of_holder(code: str, holder: str) -> Query:
    """Return the query for the holder's seat."""
    return Query("holder", {"code": code, "holder": holder})


def takeable(code: str, now: datetime) -> Query:
    """Return the query for seats that anybody may take, free or lapsed for longest."""
    return Query("takeable", {"code": code}, high=ms_of(now) + 1)


def open_of(code: str) -> Query:
    """Return the query for seats that are not redeemed, free ones first, by age."""
    return Query("open", {"code": code})


def counts_of(code: str) -> tuple[Query, Query]:
    """Return the queries for seats that are held or bound, and for redeemed ones."""
    reserved = Query("open", {"code": code}, low=1)
    return reserved, Query("redeemed", {"code": code, "redeemed": 1})


def held(code: str, holder: str, now: datetime, until: datetime) -> dict[str, Cell]:
    """Return the cells of a seat that its holder has just got."""
    return {
        "code": code,
        "holder": holder,
        "state": SeatState.HELD.value,
        "reserved_at": ms_of(now),
        "until": ms_of(until),
        "lapses_at": ms_of(until),
        "open_at": ms_of(now),
        "redeemed": None,
    }


def prolonged(until: datetime) -> Mapping[str, Cell]:
    """Return what changes when a held seat is held for longer."""
    return {"until": ms_of(until), "lapses_at": ms_of(until)}


#: Bound: it no longer lapses. Redeemed: it no longer waits for anything either.
BIND: Mapping[str, Cell] = {"state": SeatState.BOUND.value, "lapses_at": None}
REDEEM: Mapping[str, Cell] = {
    "state": SeatState.REDEEMED.value,
    "lapses_at": None,
    "open_at": None,
    "redeemed": 1,
}
#: Given back: it has lapsed since ever.
GIVE_BACK: Mapping[str, Cell] = {
    "state": FREE,
    "holder": None,
    "reserved_at": None,
    "until": None,
    "lapses_at": 0,
    "open_at": 0,
}


def seat_of(row: Row) -> Seat:
    """Return the record of a seat that somebody has."""
    cells: Mapping[str, Any] = row.cells
    return Seat(
        code=cells["code"],
        holder=cells["holder"],
        state=SeatState(cells["state"]),
        reserved_at=moment_of(cells["reserved_at"]),
        until=moment_of(cells["until"]),
    )
