"""The questions themselves, a file each, and how they are asked: values always bound."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from warehouse.database import Session

Row = dict[str, Any]


@cache
def text(name: str) -> str:
    """The SQL of a question."""
    return (resources.files("warehouse.sql") / f"{name}.sql").read_text()


def ask(session: Session, name: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    """Ask, and give a row a result."""
    return dicts(session.execute(text(name), dict(values) if values else None))


def dicts(cursor: Session) -> list[Row]:
    """What was answered, by the names of its columns."""
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def listed(ids: Sequence[str] | None) -> list[str] | None:
    """As a parameter; None: any."""
    return None if ids is None else list(ids)
