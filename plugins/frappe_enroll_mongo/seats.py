# SPDX-License-Identifier: MIT
"""
A coupon's seats: one document each, numbered, in the hands of one holder or free.

The `_id` is the code and the number, so the server itself keeps two holders off one
seat; a unique index on (code, holder) keeps one holder off two seats. A seat's document
stays for good: given back, it is free again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from frappe_enroll_sdk.models import Seat, SeatState

from .documents import EPOCH, Document
from .schema import SeatDocState


#: What no code contains; the character after it ends the range of a code's seats.
_MARK, _AFTER_MARK = "#", "$"
_DIGITS = 8

FREE = str(SeatDocState.FREE)
HELD = str(SeatDocState.HELD)
BOUND = str(SeatDocState.BOUND)
REDEEMED = str(SeatDocState.REDEEMED)


def seat_id(code: str, number: int) -> str:
    """Return the `_id` of a code's seat; sorts by number within a code."""
    return f"{code}{_MARK}{number:0{_DIGITS}d}"


def number_of(document: Document) -> int:
    """Return a seat's number."""
    return int(str(document["_id"]).rpartition(_MARK)[2])


def seats_of(code: str) -> dict[str, Any]:
    """Return the filter for all seats of a code, by the index on `_id`."""
    return {"_id": {"$gte": f"{code}{_MARK}", "$lt": f"{code}{_AFTER_MARK}"}}


def held_by(holder: str, now: datetime, until: datetime, op: str) -> Document:
    """Return the fields of a seat that this holder has just got."""
    return {
        "state": HELD,
        "holder": holder,
        "reserved_at": now,
        "until": until,
        "lapses_at": until,
        "open_at": now,
        "op": op,
    }


def given_back(op: str) -> Document:
    """Return the update that frees a seat: it has lapsed since ever."""
    gone = dict.fromkeys(("holder", "reserved_at", "until", "open_at"), "")
    return {"$set": {"state": FREE, "lapses_at": EPOCH, "op": op}, "$unset": gone}


#: The filter for seats that were given back.
GIVEN_BACK: Document = {"lapses_at": {"$lte": EPOCH}}

#: Bound: it no longer lapses. Redeemed: it no longer waits for anything either.
BIND: Document = {"$set": {"state": BOUND}, "$unset": {"lapses_at": ""}}
REDEEM: Document = {
    "$set": {"state": REDEEMED},
    "$unset": {"lapses_at": "", "open_at": ""},
}


def to_seat(document: Document) -> Seat:
    """Return the record of a seat that somebody has."""
    return Seat(
        code=document["code"],
        holder=document["holder"],
        state=SeatState(document["state"]),
        reserved_at=document["reserved_at"],
        until=document["until"],
    )
