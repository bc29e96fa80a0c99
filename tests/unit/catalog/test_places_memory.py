"""A million rows are read in less memory than they would fill: what they fill is the disk."""

# ruff: noqa: S608  # statements for servers of the tests' own

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pg8000.native as driver
import pytest
from places import contract, write_access

import mariadb
from chengshu.catalog.odcs import write_contract
from chengshu.catalog.place import TablePlace, Technology
from databases import USER, cluster

MANY = 1_000_000
MOST = 256 << 20
"""Buffers between the server and the disk, most of them of the reader of CSV, which reads ahead."""

WANTED = {"id": "int64", "note": "string"}


def own_memory(folder: Path, place: TablePlace, entry: dict[str, object]) -> tuple[int, int]:
    """The size of a table once it is read, and the memory that reading it took at most."""
    access = write_access(folder, {place.server: entry})
    (folder / "contract.yaml").write_text(write_contract(contract(place, **WANTED)), encoding="utf-8")
    program = Path(__file__).parents[2] / "reading.py"
    command = [sys.executable, str(program), str(access), str(folder / "contract.yaml"), str(folder / "spool")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    read, size, most = (int(word) for word in told.split())
    assert read == MANY
    return size, most


@pytest.mark.parametrize("technology", [Technology.POSTGRESQL, Technology.MARIADB])
def test_a_million_rows_are_read_in_bounded_memory(tmp_path, technology):
    size, most = (_in_postgresql if technology is Technology.POSTGRESQL else _in_mariadb)(tmp_path)
    assert size > 300 << 20
    assert most < MOST


def _in_postgresql(folder: Path) -> tuple[int, int]:
    with cluster() as server:
        entry = {"type": "postgresql", "host": "127.0.0.1", "port": server.port, "database": USER, "user": USER}
        with closing(driver.Connection(USER, host="127.0.0.1", port=server.port)) as connection:
            connection.run(f"CREATE TABLE t AS SELECT i AS id, repeat(md5(i::text), 10) AS note FROM generate_series(1, {MANY}) i")
            connection.run("ALTER TABLE t ADD PRIMARY KEY (id)")
        return own_memory(folder, TablePlace("p", Technology.POSTGRESQL, "127.0.0.1", server.port, USER, "public", "t"), entry)


def _in_mariadb(folder: Path) -> tuple[int, int]:
    with mariadb.server() as server:
        entry = {"type": "mariadb", "host": "127.0.0.1", "port": server.port, "database": "d", "user": mariadb.ADMIN}
        server.run("CREATE DATABASE d", "CREATE TABLE d.t (id int PRIMARY KEY, note varchar(400))")
        server.run("USE d", f"INSERT INTO t SELECT seq, REPEAT(MD5(seq), 10) FROM seq_1_to_{MANY}")
        return own_memory(folder, TablePlace("m", Technology.MARIADB, "127.0.0.1", server.port, "d", None, "t"), entry)
