#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Times lockstep against the databases' own clients, against dbmate and against the tools that it
starts (projects.py), and writes docs/benchmarks.md.

Everything runs on a private PostgreSQL 15 with the settings that Debian ships (fsync on), over TCP on
127.0.0.1, and on SQLite files. What is compared takes turns, so that a busy moment of the machine
hits all alike; figures are medians, ratios those of the two runs of each round. Exit status 1 when a
target was missed.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import projects
from timing import MB, Program, Turns, wait_patiently

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PSQL = str(PG_BIN / "psql")
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
DBMATE = (ROOT / "tests/node/node_modules/@dbmate"
          / f"linux-{MACHINES.get(platform.machine(), 'none')}" / "bin/dbmate")
BUNDLE = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


# ---- the server --------------------------------------------------------------------------------


def as_postgres(argv):
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return argv
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *argv]


def make_certificate(folder):
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    folder.mkdir()
    certificate, key = folder / "server.crt", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, stderr=subprocess.DEVNULL)
    key.chmod(0o600)
    if os.getuid() == 0:
        shutil.chown(key, "postgres", "postgres")
    return certificate, key


class Postgres:
    """A private server; with `tls`, a certificate and its key, it takes no connection without TLS."""

    def __init__(self, home, tls=None):
        self.data = home / ("postgres-tls" if tls else "postgres")
        self.query = f"sslmode=verify-full&sslrootcert={tls[0]}" if tls else "sslmode=disable"
        options = []
        self.data.mkdir()
        if os.getuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        subprocess.run(as_postgres([PG_BIN / "initdb", "-A", "trust", "-U", "postgres",
                                    "--locale=C.UTF-8", "-D", self.data]),
                       check=True, cwd="/", stdout=subprocess.DEVNULL)
        if tls:
            options = ["-c", "ssl=on", "-c", f"ssl_cert_file={tls[0]}", "-c", f"ssl_key_file={tls[1]}"]
            (self.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        self.process = subprocess.Popen(
            as_postgres([PG_BIN / "postgres", "-D", self.data, "-p", str(self.port),
                         "-c", "listen_addresses=127.0.0.1",
                         "-c", f"unix_socket_directories={self.data}", *options]),
            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 30
        while subprocess.run([PG_BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                             check=False).returncode != 0:
            if time.monotonic() > deadline:
                sys.exit("PostgreSQL did not start")
            time.sleep(0.05)

    def url(self, database):
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?{self.query}"

    def sql(self, text, database="postgres"):
        done = subprocess.run([PSQL, "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)],
                              input="SET client_min_messages = warning;\n" + text, text=True,
                              check=True, stdout=subprocess.PIPE)
        return done.stdout.strip()

    def fresh(self, database):
        self.sql(f'DROP DATABASE IF EXISTS "{database}";\nCREATE DATABASE "{database}";\nCHECKPOINT;')

    def stop(self):
        # The server itself, not setpriv: both have the same process id.
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


# ---- migrations --------------------------------------------------------------------------------


def statement(number):
    """A third CREATE TABLE, a third ALTER + CREATE INDEX, a third INSERT of 3 rows."""
    table = f"t{number - number % 3:05d}"
    return [
        f"CREATE TABLE {table} (id integer PRIMARY KEY, name text NOT NULL, amount integer);\n",
        f"ALTER TABLE {table} ADD COLUMN note text;\n"
        f"CREATE INDEX {table}_name ON {table} (name);\n",
        f"INSERT INTO {table} (id, name, amount) VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30);\n",
    ][number % 3]


def write_migrations(folder, count):
    """A directory in dbmate's format, which dbmate and lockstep read alike; and all of it as one
    file for the databases' own clients."""
    migrations = folder / f"migrations-{count}"
    migrations.mkdir()
    whole = folder / f"all-{count}.sql"
    with open(whole, "w", encoding="utf-8") as out:
        for number in range(count):
            text = statement(number)
            path = migrations / f"{20240101000000 + number}_step_{number}.sql"
            path.write_text(f"-- migrate:up\n{text}\n-- migrate:down\n", encoding="utf-8")
            out.write(text)
    return migrations, whole


# ---- the measurements --------------------------------------------------------------------------


class Bench:
    def __init__(self, lockstep, home, quick):
        self.lockstep, self.home, self.quick, self.psql = lockstep, home, quick, PSQL
        self.rows, self.targets = [], []
        self.dbmate = DBMATE if DBMATE.exists() else None
        self.server = Postgres(home)

    def rounds(self, wanted):
        return 3 if self.quick else wanted

    def row(self, section, name, figure):
        self.rows.append((section, name, figure))
        print(f"  {name:<44} {figure}", flush=True)

    def target(self, section, name, value, limit, unit=""):
        self.targets.append((section, name, f"{value:.2f}{unit}", f"{limit:g}{unit}", value <= limit))
        print(f"  {'pass' if value <= limit else 'MISS'}  {name}: {value:.2f}{unit},"
              f" target {limit:g}{unit}", flush=True)

    def lockstep_on(self, database, migrations, name="lockstep migrate"):
        return Program(name, [self.lockstep, "migrate", "--quiet", "--dir", migrations],
                       DATABASE_URL=self.server.url(database))

    def dbmate_on(self, url, migrations):
        return Program("dbmate migrate", [self.dbmate, "--migrations-dir", migrations,
                                          "--no-dump-schema", "migrate"], DATABASE_URL=url)

    def nothing_to_do(self, count):
        section = f"Nothing to do, {count:,} files, PostgreSQL"
        print(section)
        migrations, _ = write_migrations(self.home, count)
        database = f"noop{count}"
        self.server.fresh(database)
        lockstep = self.lockstep_on(database, migrations)
        lockstep.time()
        psql = Program("psql -X -c 'select 1'",
                       [PSQL, "-X", "-c", "select 1", self.server.url(database)])
        programs = [lockstep, psql]
        # The floor of any comparison with the files: one stat of each.
        programs.append(Program("find -printf '%f %s %T@', no database",
                                ["find", migrations, "-printf", "%f %s %T@"]))
        if self.dbmate:
            self.server.fresh(database + "_dbmate")
            dbmate = self.dbmate_on(self.server.url(database + "_dbmate"), migrations)
            dbmate.time()
            programs.append(dbmate)
        self.server.sql("VACUUM ANALYZE", database)
        for program in programs:
            program.time()
        turns = Turns(programs, self.rounds(21))
        for program in programs:
            memory = program.peak_memory()
            self.row(section, program.name, f"{turns.median(program) * 1000:.1f} ms,"
                                            f" {memory / MB:.1f} MB")
            if program is lockstep:
                own_memory = memory
        self.target(section, "lockstep / psql", turns.ratio(lockstep, psql), 1.0)
        if self.dbmate:
            self.target(section, "lockstep / dbmate", turns.ratio(lockstep, dbmate), 0.5)
        self.target(section, "peak memory of lockstep", own_memory / MB, 12, " MB")

    def start(self):
        """The program itself, without a database: what every container pays."""
        section = "Start"
        print(section)
        source, floor = self.home / "empty.c", self.home / "empty"
        source.write_text("int main(void) { return 0; }\n", encoding="ascii")
        subprocess.run(["gcc", "-O2", "-static", "-o", floor, source], check=True)
        programs = [Program("lockstep version", [self.lockstep, "version"]),
                    Program("empty C program, static", [floor])]
        for program in programs:
            program.time()
        turns = Turns(programs, self.rounds(301))
        mine, empty = (turns.median(program) * 1000 for program in programs)
        for program in programs:
            self.row(section, program.name, f"{turns.median(program) * 1000:.2f} ms,"
                                            f" {program.peak_memory() / MB:.1f} MB")
        self.target(section, "lockstep version - empty program", mine - empty, 1, " ms")

    def nothing_to_do_tls(self, count):
        """Peak memory, the server's certificate verified: by its own file, and by a whole bundle."""
        section = f"Nothing to do, {count:,} files, PostgreSQL over TLS"
        print(section)
        certificate, key = make_certificate(self.home / "certificate")
        migrations = self.home / f"migrations-{count}"
        if not migrations.exists():
            write_migrations(self.home, count)
        server = Postgres(self.home, (certificate, key))
        try:
            server.fresh("noop")
            words = [self.lockstep, "migrate", "--quiet", "--dir", migrations]
            own = Program("lockstep migrate, the CA in a file", words, DATABASE_URL=server.url("noop"))
            programs = [own]
            if BUNDLE.exists():
                # As an image has it, with the server's among them.
                bundle = self.home / "bundle.crt"
                bundle.write_bytes(BUNDLE.read_bytes() + certificate.read_bytes())
                url = server.url("noop").split("&sslrootcert")[0]
                programs.append(Program("lockstep migrate, the image's bundle of CAs", words,
                                        DATABASE_URL=url, SSL_CERT_FILE=str(bundle)))
            for program in programs:
                program.time()
            turns = Turns(programs, self.rounds(21))
            for program in programs:
                memory = max(program.peak_memory() for _ in range(5))
                self.row(section, program.name, f"{turns.median(program) * 1000:.1f} ms,"
                                                f" {memory / MB:.1f} MB")
                if program is own:
                    self.target(section, "peak memory of lockstep", memory / MB, 5, " MB")
        finally:
            server.stop()

    def apply_postgres(self, count):
        section = f"Applying {count:,} migrations, PostgreSQL"
        print(section)
        migrations, whole = write_migrations(self.home, count)
        database = f"apply{count}"
        url = self.server.url(database)
        lockstep = self.lockstep_on(database, migrations)
        floor = Program("psql -1 -f, all in one file and transaction",
                        [PSQL, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", whole, url])
        programs = [lockstep, floor]
        if self.dbmate:
            programs.append(self.dbmate_on(url, migrations))
        turns = Turns(programs, self.rounds(15), lambda _: self.server.fresh(database))
        for program in programs:
            self.row(section, program.name, f"{turns.median(program):.2f} s")
        self.target(section, "lockstep / psql -1", turns.ratio(lockstep, floor), 1.3)

    def apply_sqlite(self, count):
        section = f"Applying {count:,} migrations, SQLite"
        print(section)
        migrations = self.home / f"migrations-{count}"
        whole = self.home / f"all-{count}.sql"
        if not migrations.exists():
            write_migrations(self.home, count)
        folder = self.home / "sqlite"
        script = self.home / "one-transaction.sql"
        script.write_text(f"BEGIN;\n.read {whole}\nCOMMIT;\n", encoding="utf-8")
        lockstep = Program("lockstep migrate",
                           [self.lockstep, "migrate", "--quiet", "--dir", migrations],
                           DATABASE_URL=f"sqlite:///{folder}/app.db")
        floor = Program("sqlite3, all in one transaction",
                        ["sqlite3", "-bail", f"{folder}/app.db", f".read {script}"])
        programs = [lockstep, floor]

        def fresh(_):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

        turns = Turns(programs, self.rounds(5), fresh)
        for program in programs:
            self.row(section, program.name, f"{turns.median(program):.2f} s")
        if self.dbmate:
            fresh(None)
            dbmate = self.dbmate_on(f"sqlite:{folder}/app.db", migrations)
            self.row(section, dbmate.name, f"{dbmate.time():.2f} s, one run")
        self.target(section, "lockstep / sqlite3", turns.ratio(lockstep, floor), 1.5)

    def crowd(self, program, size, watch=None):
        """Seconds until all of `size` processes, started at once, have ended well. They wait at a
        gate that opens for all: one after the other is how this script starts them, not how
        replicas come."""
        with tempfile.TemporaryDirectory() as logs:
            reading, writing = os.pipe()
            gated = program.gated(reading)
            processes = [gated.start(f"{logs}/{number}", (reading,)) for number in range(size)]
            os.close(reading)
            time.sleep(0.2)
            begin = time.monotonic()
            os.close(writing)
            if watch:
                watch(processes)
            statuses = wait_patiently(processes)
            seconds = time.monotonic() - begin
            text = "".join(path.read_text(errors="replace") for path in pathlib.Path(logs).iterdir())
        if any(statuses):
            sys.exit(f"{program.name}: exit codes {statuses}\n{text[-4000:]}")
        return seconds, text

    def replicas(self, size, count):
        section = f"{size} replicas at once, {count} migrations, PostgreSQL"
        print(section)
        migrations, _ = write_migrations(self.home, count)
        database = "crowd"
        run = Program("lockstep run -- true", [self.lockstep, "run", "--dir", migrations, "--", "true"],
                      DATABASE_URL=self.server.url(database))
        alone, together, idle = [], [], []
        for _ in range(self.rounds(9)):
            self.server.fresh(database)
            alone.append(run.time())
            idle.append(self.crowd(run, size)[0])
            self.server.fresh(database)
            seconds, text = self.crowd(run, size)
            together.append(seconds)
            applied = re.findall(r"Migration applied", text)
            rows = self.server.sql("SELECT count(*), count(DISTINCT version) FROM schema_migrations",
                                   database)
            if len(applied) != count or rows != f"{count}|{count}":
                sys.exit(f"applied {len(applied)} times, version rows {rows}; expected {count} once")
        self.server.fresh(database)
        most = []
        self.crowd(run, size, lambda processes: most.append(self.most_connections(processes)))
        alone, together, idle = map(statistics.median, (alone, together, idle))
        self.row(section, "one process alone", f"{alone:.2f} s")
        self.row(section, f"{size} processes, nothing pending", f"{idle:.2f} s")
        self.row(section, f"{size} processes, all pending", f"{together:.2f} s")
        self.row(section, "each migration applied", "once")
        self.target(section, "together / (1.3 x alone + starting them)",
                    together / (1.3 * alone + idle), 1.0)
        self.target(section, "most connections of one process", most[0], 2)

    def most_connections(self, processes):
        """The highest number of connections to the server that any one process was seen with."""
        most, ended = 0, threading.Event()
        threading.Thread(target=lambda: ([p.wait() for p in processes], ended.set()),
                         daemon=True).start()
        suffix = f":{self.server.port:04X}"
        while not ended.is_set():
            table = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
            inodes = {fields[9] for fields in map(str.split, table) if fields[2].endswith(suffix)}
            for process in processes:
                try:
                    links = [os.readlink(entry) for entry in
                             pathlib.Path(f"/proc/{process.pid}/fd").iterdir()]
                except OSError:
                    continue
                most = max(most, sum(link[8:-1] in inodes for link in links
                                     if link.startswith("socket:[")))
            ended.wait(0.01)
        return most

    def run(self, only=None):
        try:
            if only != "tools":
                self.run_sql()
            if only != "sql":
                projects.measure(self)
        finally:
            self.server.stop()

    def run_sql(self):
        static = is_static(self.lockstep)
        if static:
            self.start()
        self.nothing_to_do(3)
        if static:
            self.nothing_to_do_tls(3)
        else:
            print("SKIP  start, memory over TLS: their targets are the static binary's")
        self.nothing_to_do(5000)
        self.apply_postgres(1000)
        self.apply_sqlite(5000)
        self.replicas(50, 200)


# ---- the page ----------------------------------------------------------------------------------


def first_line(*argv):
    done = subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False)
    return done.stdout.splitlines()[0].strip() if done.stdout else "unknown"


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return (f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} cores,"
            f" {int(memory.group(1)) // MB} GiB, Linux {platform.release()}")


def is_static(binary):
    said = subprocess.run(["readelf", "-l", binary], check=True, stdout=subprocess.PIPE).stdout
    return b"INTERP" not in said


def kind(binary):
    return "a release build, " + ("static (`make release`)" if is_static(binary) else "dynamic")


def page(bench, load):
    sqlite_version = first_line("sqlite3", "--version").split()[0]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (tests/bench/bench.py): run it to have your own. Medians. What is",
        "compared took turns, in another order each round; a ratio is the median of those of the rounds.",
        "PostgreSQL ran with the settings that Debian ships, fsync on, over TCP on the loopback. Both",
        "lockstep and dbmate read the same directory, in dbmate's format: a third `CREATE TABLE`, a third",
        "`ALTER TABLE` and `CREATE INDEX`, a third `INSERT` of three rows. Around other people's tools,",
        "the projects are those of the tests (tests/tools), with three migrations of their own, and each",
        "tool is compared with its own no-op.",
        "",
        f"- Date: {datetime.date.today().isoformat()}",
        f"- Machine: {machine()}; load average before and after:"
        f" {load:.1f}, {os.getloadavg()[0]:.1f}",
        f"- {first_line(bench.lockstep, '--version')}, {kind(bench.lockstep)};"
        f" {first_line(PSQL, '--version')}; SQLite {sqlite_version}; "
        + (first_line(bench.dbmate, "--version") if bench.dbmate else "no dbmate here"),
        "",
        "## Targets",
        "",
        "| what | ratio or figure | target | |",
        "|---|---|---|---|",
    ]
    lines += [f"| {section}: {name} | {value} | {limit} | {'met' if met else '**missed**'} |"
              for section, name, value, limit, met in bench.targets]
    section = None
    for where, name, figure in bench.rows:
        if where != section:
            lines += ["", f"## {where}", "", "| | |", "|---|---|"]
            section = where
        lines.append(f"| {name} | {figure} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Times lockstep; writes docs/benchmarks.md.")
    parser.add_argument("--lockstep", default=str(ROOT / "build-bench/lockstep"))
    parser.add_argument("--quick", action="store_true", help="three rounds of each; writes nothing")
    parser.add_argument("--only", choices=("sql", "tools"), help="a part of it; writes nothing")
    arguments = parser.parse_args()
    lockstep = pathlib.Path(arguments.lockstep).resolve()
    if not os.access(lockstep, os.X_OK):
        parser.error(f"no program at {lockstep}")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder:
        os.chmod(folder, 0o755)
        # A copy, as an image holds it: the page cache of a file that was just linked has pages of a
        # megabyte, and who touches a byte of one has it all on its account.
        lockstep = pathlib.Path(shutil.copy(lockstep, folder))
        bench = Bench(lockstep, pathlib.Path(folder), arguments.quick)
        bench.run(arguments.only)
        if not arguments.quick and not arguments.only:
            (ROOT / "docs/benchmarks.md").write_text(page(bench, load), encoding="utf-8")
            print("docs/benchmarks.md is written")
    return 0 if all(met for *_, met in bench.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
