"""Numbered SQL migrations, each applied together with its record in one transaction."""

from importlib import resources

import duckdb

from warehouse.errors import WarehouseNewer


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration of this version, ascending."""
    files = [file for file in resources.files("warehouse.migrations").iterdir() if file.name.endswith(".sql")]
    return sorted((int(file.name.split("_")[0]), file.read_text()) for file in files)


def migrate(connection: duckdb.DuckDBPyConnection) -> int:
    """Bring the schema up to date and return its number; `WarehouseNewer` if it is ahead of this version."""
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (number BIGINT NOT NULL)")
    row = connection.execute("SELECT coalesce(max(number), 0) FROM schema_version").fetchone()
    current: int = row[0] if row else 0
    known = migrations()
    newest = known[-1][0]
    if current > newest:
        raise WarehouseNewer(
            f"this warehouse has schema {current}, this version of Likeness knows {newest}; install the newer Likeness"
        )
    for number, sql in known:
        if number > current:
            connection.begin()
            connection.execute(sql)
            connection.execute("INSERT INTO schema_version VALUES (?)", [number])
            connection.commit()
    return newest
