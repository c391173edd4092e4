# SPDX-License-Identifier: Apache-2.0
"""One fresh database of each engine behind the same few questions."""

import itertools
import re
import sqlite3
import subprocess

import psycopg2
import pymysql

LOCKSTEP_TABLES = ("lockstep_migrations", "lockstep_runs", "lockstep_lease")
VERSION_TABLES = (
    "schema_migrations",
    "goose_db_version",
    "flyway_schema_history",
    "__diesel_schema_migrations",
    "_sqlx_migrations",
    "schema_version",
    "_prisma_migrations",
    "__drizzle_migrations",
)
BOOKKEEPING = LOCKSTEP_TABLES + VERSION_TABLES
_numbers = itertools.count(1)


class Database:
    """engine, url; rows, execute, tables, shape, contents, dump."""

    engine = ""

    def rows(self, sql, *values):
        raise NotImplementedError

    def execute(self, sql, *values):
        self.rows(sql, *values)

    def one(self, sql, *values):
        rows = self.rows(sql, *values)
        assert len(rows) == 1, f"{sql}: {rows}"
        return rows[0]

    def tables(self):
        raise NotImplementedError

    def own_tables(self):
        """Tables that are nobody's bookkeeping."""
        return [name for name in self.tables() if name not in BOOKKEEPING]

    def exists(self, table):
        return table in self.tables()

    def columns(self, table):
        raise NotImplementedError

    def shape(self):
        """Everything in the schema that is not bookkeeping, comparable with ==."""
        raise NotImplementedError

    def contents(self, tables=None):
        """{table: sorted rows} of what is not bookkeeping."""
        return {
            table: sorted(self.rows(f"SELECT * FROM {self.quoted(table)}"), key=repr)
            for table in (tables or self.own_tables())
        }

    def state(self):
        return self.shape(), self.contents()

    @staticmethod
    def quoted(name):
        return f'"{name}"'

    def versions(self):
        """[(version, state)] of lockstep_migrations, sorted."""
        return sorted(self.rows("SELECT version, state FROM lockstep_migrations"))

    def outcomes(self):
        """Outcomes of all runs, oldest first."""
        return [
            row[0]
            for row in self.rows("SELECT outcome FROM lockstep_runs ORDER BY started_at, run_id")
        ]

    def drop(self):
        raise NotImplementedError


class Sqlite(Database):
    engine = "sqlite"

    def __init__(self, path):
        self.path = path
        self.url = f"sqlite:///{path}"  # three slashes and an absolute path: four
        self.display = str(path)

    def rows(self, sql, *values):
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def script(self, sql):
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.executescript(sql)
        finally:
            connection.close()

    def tables(self):
        if not self.path.exists():
            return []
        return sorted(
            row[0]
            for row in self.rows(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        )

    def columns(self, table):
        return [row[1] for row in self.rows(f"PRAGMA table_info({self.quoted(table)})")]

    def shape(self):
        return sorted(
            row
            for row in self.rows(
                "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
            )
            if row[2] not in BOOKKEEPING
        )

    def dump(self):
        done = subprocess.run(
            ["sqlite3", "-readonly", self.path, ".schema"],
            check=True,
            stdout=subprocess.PIPE,
            timeout=60,
        )
        return done.stdout.decode()

    def drop(self):
        pass


class PostgresDatabase(Database):
    engine = "postgres"

    def __init__(self, server, user="app"):
        self.server, self.user = server, user
        self.name = f"t_{next(_numbers)}"
        with server.admin() as cursor:
            cursor.execute(f"CREATE DATABASE {self.name} OWNER {user}")
        self.url = server.url(self.name, user)
        self.display = f"postgresql://{user}@127.0.0.1"
        self._connection = None

    def rows(self, sql, *values):
        for again in (True, False):
            if self._connection is None or self._connection.closed:
                self._connection = self.server.connect(self.name)
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(sql, values or None)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.Error:
                # The test restarted the server or ended every session.
                if not again:
                    raise
                self._connection.close()
        return []

    def script(self, sql):
        self.execute(sql)

    def as_app(self):
        """A new connection of the role that migrates."""
        return self.server.connect(self.name, self.user)

    def tables(self):
        return [
            row[0]
            for row in self.rows(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            )
        ]

    def columns(self, table):
        return [
            row[0]
            for row in self.rows(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
                " ORDER BY ordinal_position",
                table,
            )
        ]

    def shape(self):
        skip = list(BOOKKEEPING)
        return (
            self.rows(
                "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text,"
                " column_default::text FROM information_schema.columns WHERE table_schema ="
                " 'public' AND table_name <> ALL (%s) ORDER BY 1, ordinal_position",
                skip,
            ),
            self.rows(
                "SELECT t.relname::text, pg_get_indexdef(i.indexrelid), i.indisvalid"
                " FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid"
                " JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'public'"
                " AND t.relname <> ALL (%s) ORDER BY 1, 2",
                skip,
            ),
            self.rows(
                "SELECT p.proname::text, p.prosrc FROM pg_proc p JOIN pg_namespace n"
                " ON n.oid = p.pronamespace WHERE n.nspname = 'public' ORDER BY 1, 2"
            ),
            self.rows(
                "SELECT t.typname::text, e.enumlabel::text FROM pg_enum e JOIN pg_type t"
                " ON t.oid = e.enumtypid ORDER BY 1, e.enumsortorder"
            ),
        )

    def sessions(self, pattern="lockstep%"):
        return self.rows(
            "SELECT pid, application_name, state, query FROM pg_stat_activity"
            " WHERE datname = %s AND application_name LIKE %s",
            self.name,
            pattern,
        )

    def dump(self):
        words = [
            self.server.bin / "pg_dump",
            "--schema-only",
            "--no-owner",
            "-h",
            self.server.folder,
            "-p",
            self.server.port,
            "-U",
            "postgres",
        ]
        done = subprocess.run(
            list(map(str, [*words, self.name])), check=True, stdout=subprocess.PIPE, timeout=120
        )
        return done.stdout.decode()

    def drop(self):
        if self._connection is not None:
            self._connection.close()
        try:
            with self.server.admin() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        except psycopg2.OperationalError:
            pass  # the test stopped the server for good


class MysqlDatabase(Database):
    engine = "mysql"

    def __init__(self, server):
        self.server = server
        self.name = f"t_{next(_numbers)}"
        with server.admin() as cursor:
            cursor.execute(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4")
        self.url = server.url(self.name)
        self.display = "mysql://app@127.0.0.1"
        self._connection = None

    def rows(self, sql, *values):
        for again in (True, False):
            if self._connection is None:
                self._connection = self.server.connect(self.name)
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(sql, values or None)
                    return list(cursor.fetchall())
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
                self._connection.close()
                self._connection = None
                if not again:
                    raise
        return []

    def script(self, sql):
        for statement in re.split(r";\s*\n", sql):
            if statement.strip():
                self.execute(statement)

    def tables(self):
        return [
            row[0]
            for row in self.rows(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
                " AND table_type = 'BASE TABLE' ORDER BY 1"
            )
        ]

    def columns(self, table):
        return [
            row[0]
            for row in self.rows(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
                " AND table_name = %s ORDER BY ordinal_position",
                table,
            )
        ]

    def shape(self):
        def ours(rows):
            return [row for row in rows if row[0] not in BOOKKEEPING]

        return (
            ours(
                self.rows(
                    "SELECT table_name, column_name, column_type, is_nullable, column_default"
                    " FROM information_schema.columns WHERE table_schema = DATABASE()"
                    " ORDER BY 1, ordinal_position"
                )
            ),
            ours(
                self.rows(
                    "SELECT table_name, index_name, column_name, non_unique"
                    " FROM information_schema.statistics WHERE table_schema = DATABASE()"
                    " ORDER BY 1, 2, seq_in_index"
                )
            ),
            ours(
                self.rows(
                    "SELECT routine_name, routine_definition FROM information_schema.routines"
                    " WHERE routine_schema = DATABASE() ORDER BY 1"
                )
            ),
        )

    @staticmethod
    def quoted(name):
        return f"`{name}`"

    def sessions(self):
        return self.rows(
            "SELECT id, command, info FROM information_schema.processlist"
            " WHERE db = DATABASE() AND user = 'app'"
        )

    def dump(self):
        words = [
            "mariadb-dump",
            "--no-defaults",
            "--no-data",
            "--routines",
            f"--socket={self.server.socket}",
            "--user=root",
        ]
        words += [f"--ignore-table={self.name}.{table}" for table in BOOKKEEPING]
        done = subprocess.run([*words, self.name], check=True, stdout=subprocess.PIPE, timeout=120)
        return done.stdout.decode()

    def drop(self):
        if self._connection is not None:
            self._connection.close()
        try:
            with self.server.admin() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {self.name}")
        except pymysql.Error:
            pass
