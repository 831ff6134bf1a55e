# SPDX-License-Identifier: MIT
"""
Records to cells, and back: one codec for every table.

A field is stored in the column of its name, by its type: moments as milliseconds, flags
as 0 and 1, enums as their value, decimals as text, money as three columns, history as
lines, and anything else as JSON. What is in no field (a slot, the moment at which a row
is due) is derived from the record.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from itertools import compress
from json import JSONEncoder, loads
from operator import attrgetter, is_not
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from ..codec import dump, load
from ..codec import text_of as iso_of
from ..errors import DamagedRowError, ValidationError
from ..interfaces.tables import Cell, CellKind, Row, Table
from ..money import Money


__all__ = ("ms_of",)


T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
#: Bytes of a name at the most; a character has up to four.
_MAX_NAME = 1024
_iso_of = lru_cache(maxsize=4096)(iso_of)


def _plain(value: Any) -> Any:
    # (Most of what is no JSON are moments, and many of them the same.)
    return _iso_of(value) if type(value) is datetime else dump(value)


_json = JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, check_circular=False, default=_plain
).encode


@lru_cache(maxsize=4096)
def ms_of(moment: datetime) -> int:
    """Return a moment as milliseconds since 1970."""
    return (moment - _EPOCH) // _MS


@lru_cache(maxsize=4096)
def moment_of(ms: int) -> datetime:
    """Return the moment of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


def text_of(value: Any) -> str:
    """Return JSON data (or records) as text."""
    # (Dictionaries first: to ask for any mapping takes longer than to write one.)
    if not value and isinstance(value, (dict, tuple, Mapping)):
        return "[]" if isinstance(value, tuple) else "{}"
    try:
        return _json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"not JSON: {type(error).__name__}") from error


@attrs.define(slots=True)
class Changes:
    """
    What a write changes.

    Attributes:
        cells: Changed columns.
        more: Lines to append.
        record: What the row's record then is, if the core knows; never stored.
    """

    cells: Mapping[str, Cell]
    more: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    record: Any = None


@attrs.frozen
class _Field:
    """How one field is stored in one column."""

    name: str
    column: str
    #: None: it is stored as it is.
    encode: Callable[[Any], Cell] | None
    decode: Callable[[Any], Any] | None
    #: What a cell is; two JSON values are never called equal (1 is not true).
    cell: type | tuple[type, ...]
    is_json: bool = False


@attrs.frozen
class _MoneyField:
    """An amount: three columns."""

    name: str
    minor: str
    currency: str
    exponent: str

    def cells_of(self, amount: Money | None) -> dict[str, Cell]:
        """Return the cells of an amount."""
        if amount is None:
            return dict.fromkeys((self.minor, self.currency, self.exponent))
        return {
            self.minor: amount.amount_minor,
            self.currency: amount.currency,
            self.exponent: amount.exponent,
        }


@lru_cache(maxsize=8192)
def _line(kind: type, text: str) -> Any:
    # A line never changes, and neither does the record that it was.
    return load(kind, loads(text))


def _decode_json(kind: Any, text: str) -> Any:
    data = loads(text)
    if kind == Mapping[str, Any]:
        if not isinstance(data, dict):
            raise ValidationError("not an object")
        return data
    return load(kind, data)


class Codec(Generic[T]):
    """
    Records of one kind as rows of one table, and back.

    Args:
        kind: The record's class.
        table: Where it is kept.
        key: Makes the row's key of a record.
        computed: Fields that are made of a whole row instead of their column.
        derived: Columns that are made of a whole record.
        omitted: Fields that are never stored.
        check: Raises `ValidationError` for a record that may not be stored.
        is_key_secret: Whether no log may hold a row's key (it is worth money).
    """

    def __init__(
        self,
        kind: type[T],
        table: Table,
        key: Callable[[T], str],
        *,
        computed: Mapping[str, Callable[[Row], Any]] | None = None,
        derived: Callable[[T], Mapping[str, Cell]] | None = None,
        omitted: Collection[str] = (),
        check: Callable[[T], None] | None = None,
        is_key_secret: bool = False,
    ) -> None:
        self.kind, self.table, self.key_of = kind, table, key
        self._is_key_secret = is_key_secret
        self._computed, self._derived = computed or {}, derived
        self._check = check
        hints = get_type_hints(kind)
        skipped = {*self._computed, *omitted}
        self._fields: list[_Field] = []
        self._money: list[_MoneyField] = []
        self._lines: tuple[str, type] | None = None
        for field in attrs.fields(kind):  # type: ignore[arg-type]  # an attrs class
            if field.name not in skipped:
                self._add(field.name, _bare(hints[field.name]))
        # (One call for all of them: records have many fields, and few change.)
        self._values = _getter([one.name for one in self._fields])
        self._amounts = _getter([one.name for one in self._money])
        self._names = {
            column.name for column in table.columns if column.kind is CellKind.NAME
        }

    def _add(self, name: str, kind: Any) -> None:
        if kind is Money:
            parts = (f"{name}_{part}" for part in ("minor", "currency", "exponent"))
            self._money.append(_MoneyField(name, *parts))
            return
        if self.table.column(name).kind is CellKind.LINES:
            self._lines = name, get_args(kind)[0]
            return
        simple = isinstance(kind, type) and get_origin(kind) is None
        encode: Callable[[Any], Cell] | None = None
        decode: Callable[[Any], Any] | None = None
        cell: type | tuple[type, ...] = str
        is_json = False
        if kind in {str, int}:
            cell = kind
        elif kind is float:
            # (A database may give a whole number back.)
            encode, decode, cell = float, float, (int, float)
        elif kind is bool:
            encode, decode, cell = int, bool, int
        elif kind is datetime:
            encode, decode, cell = ms_of, moment_of, int
        elif kind is Decimal:
            encode, decode = str, Decimal
        elif simple and issubclass(kind, StrEnum):
            # (The text of a member is its value.)
            encode, decode = str, kind
        else:
            encode, decode = text_of, partial(_decode_json, kind)
            is_json = True
        self._fields.append(_Field(name, name, encode, decode, cell, is_json))

    def cells_of(self, record: T) -> dict[str, Cell]:
        """
        Return all cells of a new row.

        Raises:
            ValidationError: The record may not be stored.
        """
        cells: dict[str, Cell] = {}
        for one, value in zip(self._fields, self._values(record), strict=True):
            if value is not None:
                encode = one.encode
                cells[one.column] = value if encode is None else encode(value)
        if self._money:
            for money, amount in zip(self._money, self._amounts(record), strict=True):
                if amount is not None:
                    cells |= money.cells_of(amount)
        if self._lines is not None:
            name = self._lines[0]
            cells[name] = tuple(map(text_of, getattr(record, name)))
        if self._derived is not None:
            cells.update(self._derived(record))
        self._require(record, cells)
        require_name(self.key_of(record), "key")
        return cells

    def _changed(self, before: T, after: T) -> dict[str, Cell]:
        """Return the cells of the fields that differ."""
        cells: dict[str, Cell] = {}
        olds, news = self._values(before), self._values(after)
        every = zip(self._fields, olds, news, strict=True)
        for one, old, new in compress(every, map(is_not, olds, news)):
            if not one.is_json and old == new:
                continue
            if new is None or one.encode is None:
                cells[one.column] = new
            else:
                cells[one.column] = one.encode(new)
        if self._money:
            olds, news = self._amounts(before), self._amounts(after)
            for money, old, new in zip(self._money, olds, news, strict=True):
                if old is not new and old != new:
                    cells |= money.cells_of(new)
        return cells

    def changes_of(self, before: T, after: T, *, damaged: bool = False) -> Changes:
        """
        Return what has to be written to make `after` of the row of `before`.

        Args:
            before: What the row's record was.
            after: What it is to be.
            damaged: Nobody knows what the row holds: every cell is written.
        """
        if damaged:
            nothing = dict.fromkeys(column.name for column in self.table.columns)
            return Changes(nothing | self.cells_of(after), record=after)
        cells = self._changed(before, after)
        if self._derived is not None:
            was, now = self._derived(before), self._derived(after)
            if was != now:
                cells.update({k: cell for k, cell in now.items() if cell != was[k]})
        more: dict[str, tuple[str, ...]] = {}
        if self._lines is not None:
            name = self._lines[0]
            new_lines = getattr(after, name)[len(getattr(before, name)) :]
            if new_lines:
                more[name] = tuple(map(text_of, new_lines))
        if cells or more:
            self._require(after, cells)
        return Changes(cells, more, after)

    def _require(self, record: T, cells: Mapping[str, Cell]) -> None:
        names = self._names
        for name, cell in cells.items():
            if name in names and cell is not None:
                require_name(cell, name)
        if self._check is not None:
            self._check(record)

    def record_of(self, row: Row) -> T:
        """
        Return the record of a row. What it holds must not be changed.

        Raises:
            DamagedRowError: The row is damaged.
        """
        known: T | None = row.record
        if known is None:
            try:
                known = row.record = self._read(row)
            except (
                *(ValidationError, ValueError, TypeError),
                *(KeyError, ArithmeticError),
            ) as error:
                raise self.damaged(row, error) from error
        return known

    def damaged(self, row: Row, error: Exception) -> DamagedRowError:
        """Return the error of a row that can't be read: whose it is, and why."""
        why = str(error) if isinstance(error, ValidationError) else type(error).__name__
        name = "" if self._is_key_secret else f" {row.key}"
        return DamagedRowError(
            f"the stored row{name} of {self.table.name} is damaged ({why})",
            field=self.table.name,
        )

    def _read(self, row: Row) -> T:
        cells = row.cells
        values: dict[str, Any] = {}
        for one in self._fields:
            cell = cells.get(one.column)
            # A null is the field's default: None, or what it was before it was stored.
            if cell is not None:
                if not isinstance(cell, one.cell):
                    raise TypeError(one.column)
                decode = one.decode
                values[one.name] = cell if decode is None else decode(cell)
        for money in self._money:
            minor: Any = cells.get(money.minor)
            currency: Any = cells.get(money.currency)
            exponent: Any = cells.get(money.exponent)
            if minor is not None:
                # Without an exponent (it was not always stored) it has today's.
                known = () if exponent is None else (exponent,)
                values[money.name] = Money(minor, currency, *known)
        if self._lines is not None:
            name, kind = self._lines
            lines: Any = cells.get(name) or ()
            values[name] = tuple([_line(kind, line) for line in lines])
        for name, compute in self._computed.items():
            values[name] = compute(row)
        return self.kind(**values)


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple([getattr(record, name) for name in names])


def _bare(hint: Any) -> Any:
    """Return a type without its None."""
    if get_origin(hint) in {Union, types.UnionType}:
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    return hint


def require_name(value: Any, field: str) -> None:
    """
    Refuse what is no text, or what no index can hold.

    Raises:
        ValidationError: Names the field.
    """
    if isinstance(value, str) and value.isascii() and len(value) <= _MAX_NAME:
        return
    if value is None:
        return
    if not isinstance(value, str):
        raise ValidationError(f"{field}: must be text", field=field)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        # Half of a surrogate pair: no database can write it.
        raise ValidationError(f"{field}: is not text", field=field) from error
    if size > _MAX_NAME:
        raise ValidationError(f"{field}: is too long", field=field)
