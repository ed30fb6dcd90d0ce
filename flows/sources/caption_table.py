"""Caption files: CSV (OpenHumanVid's and others) and JSONL, row by row. Liberal in taking, exact about what fails."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse.errors import BadCaptions

NAME_COLUMNS = ("path", "file")
"""The first that a table has names the video."""
_JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}
_LONGEST_FIELD = 1 << 24
"""Characters; the csv module's own limit (131072) is less than some data sets' descriptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionRow:
    """What one row says of one video."""

    line: int
    """1-based, of the row's last line."""
    name: str
    """As the table spells it; empty: the row names no video."""
    caption: str | None
    extra: str | None
    """`rest` as a JSON object; None: it is empty."""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """The other columns that hold something, as the table spells their names."""


def read_captions(path: Path, *, needed: Sequence[str] = ()) -> Iterator[CaptionRow]:
    """The rows of a caption file, in order. `BadCaptions` (with the line) if it lacks a column or cannot be parsed;
    `needed`: columns that a CSV must have besides name and caption."""
    if not path.is_file():
        raise BadCaptions(f"{path}: no such caption file")
    return _from_json(path) if path.suffix.lower() in _JSON_SUFFIXES else _from_csv(path, needed)


def _from_csv(path: Path, needed: Sequence[str]) -> Iterator[CaptionRow]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(_lines(path), strict=True)
    records = _records(path, reader)
    header = [column.strip() or f"column_{number}" for number, column in enumerate(next(records, []), start=1)]
    _require(path, header, needed)
    for fields in records:
        if any(field.strip() for field in fields):
            header += [f"column_{number}" for number in range(len(header) + 1, len(fields) + 1)]
            yield _row(path, reader.line_num, dict(zip(header, fields, strict=False)))


def _records(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise BadCaptions(f"{path}, line {reader.line_num}: {error}; check its quotes") from error


def _from_json(path: Path) -> Iterator[CaptionRow]:
    seen: dict[str, None] = {}
    for line, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadCaptions(f"{path}, line {line}: {error}; each line must be one JSON object") from error
        if not isinstance(record, dict):
            raise BadCaptions(f"{path}, line {line}: found {type(record).__name__}; each line must be one JSON object")
        seen |= dict.fromkeys(record)
        yield _row(path, line, record)
    _require(path, seen)


def _lines(path: Path) -> Iterator[str]:
    """Decoded line by line, so that a bad byte is found with its line."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadCaptions(f"{path}, line {number}: not UTF-8 ({error.reason}); save it as UTF-8") from error
            yield text.removeprefix("\ufeff") if number == 1 else text


def _require(path: Path, columns: Iterable[str], needed: Sequence[str] = ()) -> None:
    found = [column.lower() for column in columns]
    missing = [f"`{name}`" for name in (*needed, "caption") if name not in found]
    if not set(found) & set(NAME_COLUMNS):
        missing.append(" or ".join(f"`{name}`" for name in NAME_COLUMNS))
    if missing:
        raise BadCaptions(f"{path}: no column {' and no '.join(missing)}; found {', '.join(found) or 'no columns'}")


def _row(path: Path, line: int, record: Mapping[str, Any]) -> CaptionRow:
    spelled = {column.lower(): column for column in reversed(list(record))}
    of_name = next((spelled[name] for name in NAME_COLUMNS if name in spelled), None)
    of_caption = spelled.get("caption")
    texts = [record.get(column) if column else None for column in (of_name, of_caption)]
    for value in texts:
        if not isinstance(value, str | None):
            raise BadCaptions(f"{path}, line {line}: path and caption must be text, found {type(value).__name__}")
    name, caption = ((text or "").strip() for text in texts)
    rest = {k: v for k, v in record.items() if k not in (of_name, of_caption) and v not in (None, "")}
    extra = json.dumps(rest, ensure_ascii=False) if rest else None
    try:
        f"{name}{caption}{extra}".encode()
    except UnicodeEncodeError as error:
        raise BadCaptions(
            f"{path}, line {line}: holds half a surrogate pair, which is no text; write it anew"
        ) from error
    return CaptionRow(line=line, name=name, caption=caption or None, extra=extra, rest=rest)
