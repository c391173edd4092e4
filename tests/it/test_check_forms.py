# SPDX-License-Identifier: Apache-2.0
"""The forms in which `check` tells its findings: each as its reader takes it."""

import json
import re
import urllib.parse

import pytest
from support import schemas

FILES = {
    "fly.toml": '[deploy]\nrelease_command = "a | b"\n',
    "deploy.sh": "ssh -o StrictHostKeyChecking=no h\n",
    "k8s/a,b: 100%.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: app-migrate-$TAG}\n"
    "spec:\n  backoffLimit: 0\n  activeDeadlineSeconds: 60\n"
    "  template: {spec: {restartPolicy: Never, containers: [{image: x@sha256:1, args: [lockstep, up]}]}}\n",
}


@pytest.fixture
def app(sqlite_app):
    sqlite_app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n"})
    for path, text in FILES.items():
        sqlite_app.write(path, text)
    return sqlite_app


def plain(app):
    return json.loads(app.run("check", "--json", expect=6).out)["findings"]


def test_json_and_text(app):
    found = plain(app)
    assert {one["rule"]: one["severity"] for one in found} == {
        "release-needs-shell": "error",
        "strict-host-key": "warning",
        "ttl": "info",
    }
    assert json.loads(app.run("check", "--format", "json", expect=6).out)["findings"] == found
    text = app.run("check", "--format=text", expect=6)
    assert text.out == app.run("check", expect=6).out and text.err == ""
    for one in found:
        assert (
            f"{one['file']}:{one['line']}: {one['severity']}: {one['message']} [{one['rule']}]"
            in text.out
        )
        assert f"    {one['safer']}\n" in text.out


def test_github(app, tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    app.env["GITHUB_STEP_SUMMARY"] = str(summary)
    done = app.run("check", "--format", "github", expect=6)
    lines = done.out.splitlines()
    assert done.err == "" and len(lines) == 3
    # Worst first; a property ends at a comma or colon, a message at the line.
    assert lines[0].startswith(
        "::error file=fly.toml,line=2,title=release-needs-shell::the release"
    )
    assert lines[1].startswith("::warning file=deploy.sh,line=1,title=strict-host-key::ssh")
    assert lines[2].startswith(
        "::notice file=k8s/a%2Cb%3A 100%25.yaml,line=4,title=ttl::the finished"
    )
    for line in lines:
        assert re.fullmatch(
            r"::(error|warning|notice) file=[^,:]+,line=\d+,title=[a-z-]+::.+", line
        )
    table = summary.read_text()
    assert table.startswith("before\n### lockstep\n")
    rows = [line for line in table.splitlines() if re.match(r"\| (error|warning|info) \|", line)]
    assert len(rows) == 3 and rows[0].startswith("| error | fly.toml:2 | ")
    assert "a \\| b" in rows[0], "what a file says ends no cell"
    # Without the variable the same, and no file.
    del app.env["GITHUB_STEP_SUMMARY"]
    assert app.run("check", "--format", "github", expect=6).out == done.out


def test_github_shows_ten_of_a_kind(app, tmp_path):
    summary = tmp_path / "summary.md"
    app.env["GITHUB_STEP_SUMMARY"] = str(summary)
    app.write("deploy.sh", "ssh -o StrictHostKeyChecking=no h\n" * 25)
    lines = app.run("check", "--format", "github", expect=6).out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error"] + ["::warning"] * 10 + ["::notice"]
    assert lines[10] == "::warning title=lockstep::16 more of this kind are in the summary"
    assert summary.read_text().count("| warning |") == 25


def test_github_summary_cannot_be_written(app, tmp_path):
    app.env["GITHUB_STEP_SUMMARY"] = str(tmp_path / "none/summary.md")
    done = app.run("check", "--format", "github", expect=1)
    assert "::error file=fly.toml" in done.out and "summary.md" in done.err


def test_sarif(app):
    """By the schema's own words: what is required there, and what GitHub asks for beyond it."""
    log = json.loads(app.run("check", "--format", "sarif", expect=6).out)
    assert set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    assert set(run) <= {"tool", "results", "columnKind"}
    driver = run["tool"]["driver"]
    assert driver["name"] == "lockstep" and re.fullmatch(r"\d+\.\d+\.\d+", driver["version"])
    found = plain(app)
    assert len(run["results"]) == len(found)
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids) and set(ids) == {one["rule"] for one in found}
    for rule in driver["rules"]:
        assert set(rule) == {"id", "shortDescription", "help", "defaultConfiguration"}
        assert rule["shortDescription"]["text"] and rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
    level = {"info": "note", "warning": "warning", "error": "error"}
    for result, one in zip(run["results"], found):
        assert set(result) == {"ruleId", "ruleIndex", "level", "message", "locations"}
        assert ids[result["ruleIndex"]] == result["ruleId"] == one["rule"]
        assert result["level"] == level[one["severity"]]
        assert result["message"]["text"] == f"{one['message']}. {one['safer']}"
        (location,) = result["locations"]
        place = location["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert urllib.parse.unquote(uri) == one["file"] and re.fullmatch(r"[\w./%~-]+", uri)
        assert place["region"] == {"startLine": one["line"]}


def test_gitlab(app):
    report = json.loads(app.run("check", "--format", "gitlab", expect=6).out)
    found = plain(app)
    assert len(report) == len(found)
    severity = {"info": "info", "warning": "minor", "error": "critical"}
    for entry, one in zip(report, found):
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["check_name"] == one["rule"] and one["message"] in entry["description"]
        assert entry["severity"] == severity[one["severity"]]
        assert entry["location"] == {"path": one["file"], "lines": {"begin": one["line"]}}
    # Known again when its line moves; two alike are two.
    before = {entry["check_name"]: entry["fingerprint"] for entry in report}
    app.write("deploy.sh", "\n" + FILES["deploy.sh"] * 2)
    report = json.loads(app.run("check", "--format", "gitlab", expect=6).out)
    alike = [entry["fingerprint"] for entry in report if entry["check_name"] == "strict-host-key"]
    assert len(set(alike)) == 2 and before["strict-host-key"] in alike


# Names that a URI, a line of text and a Markdown table each have trouble with.
ODD = ("a b/über-%41?x#y.sh", "deploy:prod,[1].sh", "日本/'quoted\"\\.sh", "-rf.sh", "\udcff.sh")


def test_odd_names_by_the_schemas(sqlite_app):
    """SARIF by its own schema, code quality by what GitLab reads of it."""
    app = sqlite_app
    app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n"})
    empty = [json.loads(app.run("check", "--format", form).out) for form in ("sarif", "gitlab")]
    for name in ODD:
        app.write(name, "ssh -o StrictHostKeyChecking=no h\n")
    app.env["DATABASE_URL"] = "postgresql://app@127.0.0.1:1/app"  # a finding of no file
    log = json.loads(app.run("check", "--format", "sarif", expect=6).out)
    report = json.loads(app.run("check", "--format", "gitlab", expect=6).out)
    places = [one["locations"][0]["physicalLocation"] for one in log["runs"][0]["results"]]
    uris = {urllib.parse.unquote(one["artifactLocation"]["uri"]) for one in places}
    paths = {one["location"]["path"] for one in report}
    # The byte that is no UTF-8 is %FF in a URI; JSON has no word for it.
    said = {*ODD, "lockstep.yaml"} - {"\udcff.sh"}
    assert uris == said | {"\ufffd.sh"} and paths == said | {"?.sh"}
    assert len({one["fingerprint"] for one in report}) == len(report) == len(places)
    schemas.assert_valid(
        {"kind": kind, "name": kind, "value": value}
        for kind, value in (
            ("sarif", log),
            ("code-quality", report),
            ("sarif", empty[0]),
            ("code-quality", empty[1]),
        )
    )

    wrong = []
    for kind, value, change, said in (
        ("sarif", log, {"version": "2.0.0"}, "/version"),
        ("sarif", log["runs"][0]["results"][0], {"level": "fatal"}, "/results/0/level"),
        ("sarif", places[0]["region"], {"startLine": 0}, "startLine"),
        ("sarif", places[0]["artifactLocation"], {"uri": "a b"}, "uri-reference"),
        ("sarif", places[0]["artifactLocation"], {"url": "a"}, "additional"),
        ("code-quality", report[0], {"severity": "warning"}, "/0/severity"),
        ("code-quality", report[0]["location"], {"path": "./a.sh"}, "/location/path"),
        ("code-quality", report[0]["location"]["lines"], {"begin": None}, "/lines/begin"),
    ):
        before = dict(value)
        value.update(change)
        whole = json.loads(json.dumps(log if kind == "sarif" else report))
        value.clear()
        value.update(before)
        wrong.append(({"kind": kind, "name": kind, "value": whole}, said))
    schemas.assert_refused(wrong)


def test_nothing(sqlite_app):
    app = sqlite_app
    app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n"})
    assert json.loads(app.run("check", "--format", "gitlab").out) == []
    assert json.loads(app.run("check", "--format", "sarif").out)["runs"][0]["results"] == []
    assert app.run("check", "--format", "github").out == app.run("check").out


def test_findings_without_a_file(sqlite_app):
    """Code scanning and code quality refuse an entry that has no place."""
    sqlite_app.env["DATABASE_URL"] = "postgresql://app@127.0.0.1:1/app"
    sqlite_app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n"})
    sarif = json.loads(sqlite_app.run("check", "--format", "sarif", expect=6).out)
    (result,) = sarif["runs"][0]["results"]
    assert result["ruleId"] == "no-database"
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "lockstep.yaml", "uriBaseId": "%SRCROOT%"}}
    (entry,) = json.loads(sqlite_app.run("check", "--format", "gitlab", expect=6).out)
    assert entry["location"] == {"path": "lockstep.yaml", "lines": {"begin": 1}}
    line = sqlite_app.run("check", "--format", "github", expect=6).out
    assert line.startswith("::error title=no-database::")


def test_ignore(app):
    """By flag, variable and file; a name that is none is told, and nothing else is left out."""
    left = app.run("check", "--ignore", "release-needs-shell", "--ignore", "ttl")
    assert "strict-host-key" in left.out and left.out.count("[") == 1 and left.err == ""
    app.write("lockstep.yaml", "ignore: [release-needs-shell, strict-host-key, ttl]\n")
    assert "Nothing was found" in app.run("check").out
    app.env["LOCKSTEP_IGNORE"] = "ttl, tll"
    told = app.run("check", expect=6)
    assert "there is no rule 'tll' to leave out" in told.err and "[ttl]" not in told.out
    assert "release-needs-shell" in told.out


def test_format_of_migrations_is_the_other(app):
    """One flag, two meanings: the value tells."""
    app.write(
        "migrations/001_a.sql", "-- migrate:up\nCREATE TABLE a (id integer);\n-- migrate:down\n"
    )
    assert "--format" in app.run("check", "--help").out
    both = app.run("--format", "dbmate", "check", "--format", "github", expect=6)
    assert both.out.startswith("::error ")
    refused = app.run("check", "--format", "xml", expect=2)
    assert "'--format': 'xml' is not one of text|json|github|sarif|gitlab" in refused.err
    mistyped = app.run("check", "--format", "sarfi", expect=2)
    assert "Did you mean 'sarif'?" in mistyped.err, mistyped
    of_files = app.run("check", "--format", "dbmat", expect=2)
    assert "Did you mean 'dbmate'?" in of_files.err, of_files
    assert refused.out == ""
    assert app.run("status", "--format", "sarif", expect=2).out == ""
