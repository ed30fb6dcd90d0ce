"""Records and facts to typed rows and back: the columns of a table are the fields of its dataclass."""

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.board_records import Gold, Showing, VoteEvent, Watermark
from warehouse.database import Session
from warehouse.records import Candidate, Clip, Label, Pair, Reference, Source, Subject, Vote

NOUNS: Mapping[str, type[Any]] = {
    "source": Source,
    "clip": Clip,
    "subject": Subject,
    "reference": Reference,
    "candidate": Candidate,
    "pair": Pair,
    "vote": Vote,
    "label": Label,
}
BOARDS: Mapping[str, type[Any]] = {"showing": Showing, "gold": Gold, "vote_event": VoteEvent, "watermark": Watermark}

RATIONAL = pa.struct([("num", pa.int64()), ("den", pa.int64())])

STREAMED_ROWS = 8192
"""Rows in memory at a time where many are written or read."""

RecordT = TypeVar("RecordT")


def schema(record_type: type[Any]) -> pa.Schema:
    """Arrow columns of a dataclass, in the order of its fields."""
    hints = get_type_hints(record_type)
    return pa.schema([_column(field.name, hints[field.name]) for field in fields(record_type)])


def sql_columns(record_type: type[Any]) -> tuple[tuple[str, str], ...]:
    """(name, type) of a dataclass's columns as DuckDB and DuckLake spell them, `NOT NULL` where None is not allowed."""
    return tuple(
        (field.name, _sql_type(field.type) + ("" if field.nullable else " NOT NULL")) for field in schema(record_type)
    )


def to_arrow(record_type: type[Any], records: Iterable[Any]) -> pa.Table:
    """Records as a table."""
    rows = list(records)
    columns = schema(record_type)
    return pa.table([_array(column, [getattr(row, column.name) for row in rows]) for column in columns], schema=columns)


def from_arrow(record_type: type[RecordT], table: pa.Table) -> list[RecordT]:
    """Rows as records; columns that the record does not have are passed over."""
    hints = get_type_hints(record_type)
    restore = {field.name: _restorer(hints[field.name]) for field in fields(record_type)}  # type: ignore[arg-type]
    rows = table.select(list(restore)).to_pylist()
    return [record_type(**{name: restore[name](value) for name, value in row.items()}) for row in rows]


def write_parquet(cursor: Session, path: Path) -> int:
    """Stream what was asked into a file, piece by piece, and give the number of rows."""
    reader = cursor.to_arrow_reader(STREAMED_ROWS)
    num_rows = 0
    with pq.ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            num_rows += batch.num_rows
    return num_rows


def insert(session: Session, table: str, rows: pa.Table) -> None:
    """Append rows; columns by name."""
    with shown(session, rows):
        session.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM incoming')


def merge(session: Session, table: str, rows: pa.Table, *, keys: Sequence[str]) -> int:
    """Append the rows whose `keys` are not in the table yet, each key once, and say how many these were."""
    columns = ", ".join(f'"{name}"' for name in rows.column_names)
    values = ", ".join(f'i."{name}"' for name in rows.column_names)
    matched = " AND ".join(f't."{key}" = i."{key}"' for key in keys)
    once = "SELECT * FROM incoming QUALIFY row_number() OVER (PARTITION BY {}) = 1".format(
        ", ".join(f'"{key}"' for key in keys)
    )
    with shown(session, rows):
        counted = session.execute(
            f'MERGE INTO "{table}" t USING ({once}) i ON {matched}'
            f" WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        ).fetchone()
    return int(counted[0]) if counted else 0


def replace(session: Session, table: str, rows: pa.Table, *, where: str, values: Sequence[Any]) -> None:
    """Delete what the condition finds, then append. Inside a transaction."""
    session.execute(f'DELETE FROM "{table}" WHERE {where}', list(values))
    insert(session, table, rows)


def forget_others(session: Session, table: str, dataset: str, batches: Sequence[str]) -> None:
    """Delete a data set's rows that came in no batch of these."""
    session.execute(
        f'DELETE FROM "{table}" WHERE dataset = ? AND (batch IS NULL OR batch NOT IN (SELECT unnest(?::VARCHAR[])))',
        [dataset, list(batches)],
    )


@contextmanager
def shown(session: Session, rows: pa.Table) -> Iterator[None]:
    """Rows as a relation that SQL calls `incoming`."""
    session.register("incoming", rows)
    try:
        yield
    finally:
        session.unregister("incoming")


def _column(name: str, hint: Any) -> pa.Field:
    inner, optional = _without_none(hint)
    return pa.field(name, _arrow_type(name, inner), nullable=optional)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (types.UnionType, Union):
        kept = [part for part in get_args(hint) if part is not type(None)]
        if len(kept) != 1:
            raise TypeError(f"{hint}: a column has one type, or one type and None")
        return kept[0], len(kept) < len(get_args(hint))
    return hint, False


_SCALARS: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    bytes: pa.binary(),
    Fraction: RATIONAL,
}


def _arrow_type(name: str, hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return pa.string()
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(name, get_args(hint)[0]))
    raise TypeError(f"{name}: {hint} has no column type")


def _sql_type(arrow_type: pa.DataType) -> str:
    if pa.types.is_list(arrow_type):
        return _sql_type(arrow_type.value_type) + "[]"
    if arrow_type == RATIONAL:
        return "STRUCT(num BIGINT, den BIGINT)"
    return {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.binary(): "BLOB",
    }[arrow_type]


def _array(column: pa.Field, values: list[Any]) -> pa.Array:
    if column.type == RATIONAL:
        parts = [value if value is None else {"num": value.numerator, "den": value.denominator} for value in values]
        return pa.array(parts, column.type)
    if column.type == pa.string():
        return pa.array([value.value if isinstance(value, Enum) else value for value in values], column.type)
    return pa.array(values, column.type)


def _restorer(hint: Any) -> Any:
    inner, _ = _without_none(hint)
    if inner is Fraction:
        return lambda value: None if value is None else Fraction(value["num"], value["den"])
    if isinstance(inner, type) and issubclass(inner, Enum):
        return lambda value: None if value is None else inner(value)
    if get_origin(inner) is tuple:
        return lambda value: None if value is None else _as_tuple(value)
    return lambda value: value


def _as_tuple(value: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_as_tuple(part) if isinstance(part, list) else part for part in value)
