-- SPDX-License-Identifier: Apache-2.0
-- What the driver itself says to SQLite; everything else goes through its C interface.

-- Reads the header: a file that is no database is told here, not in the first migration.
-- name: sqlite_probe
pragma schema_version

-- name: sqlite_journal_mode
pragma journal_mode = :mode

-- Settings of the session without an sqlite3_db_config of their own.
-- name: sqlite_defaults
pragma query_only = 0;
pragma ignore_check_constraints = 0

-- name: sqlite_detach
detach database :name
