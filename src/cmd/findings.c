/* SPDX-License-Identifier: Apache-2.0 */
/* Findings in five forms. */

#include "cmd/findings.h"
#include "cmd/output.h"
#include "core/env.h"
#include "core/fs.h"
#include "core/hash.h"
#include "deploy/look.h"

#include <string.h>

#include "core/banned.h"

enum {
    ANNOTATIONS_MAX = 10,      /* of each kind are shown for a step; more are dropped silently */
    SUMMARY_CEILING = 1 << 20, /* of a step, by GitHub */
    SUMMARY_MAX = 500          /* lines of the table: they stay below the ceiling */
};

/* Where a finding is about no file: both forms want one for each. */
static const char no_file[] = "lockstep.yaml";

/* What each reader calls them. */
static const struct {
    const char *name, *github, *sarif, *gitlab;
    Style style;
} severities[] = {
    [SEVERITY_INFO] = {"info", "notice", "note", "info", STYLE_DIM},
    [SEVERITY_WARNING] = {"warning", "warning", "warning", "minor", STYLE_YELLOW},
    [SEVERITY_ERROR] = {"error", "error", "error", "critical", STYLE_RED},
};

/* ---- text and JSON ---- */

static void
print_text(const Cli *cli, const Findings *findings, const char *nothing, StrBuf *out)
{
    for (size_t i = 0; i < findings->n; i++) {
        const Finding *f = &findings->p[i];
        if (f->file && f->line)
            strbuf_printf(out, "%s:%zu: ", f->file, f->line);
        else if (f->file)
            strbuf_printf(out, "%s: ", f->file);
        strbuf_printf(out, "%s%s%s: ", style_on(severities[f->severity].style, cli->stdout_color),
                      severities[f->severity].name, style_off(cli->stdout_color));
        strbuf_printf(out, "%s [%s]\n", f->message, f->rule);
        if (f->safer)
            strbuf_printf(out, "    %s\n", f->safer);
    }
    if (!findings->n)
        strbuf_printf(out, "%s\n", nothing);
}

json_t *
findings_json(Arena *arena, const Findings *findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < findings->n; i++) {
        const Finding *f = &findings->p[i];
        json_t *o = json_object();
        json_object_set_new(o, "rule", json_string(f->rule));
        json_object_set_new(o, "severity", json_string(severities[f->severity].name));
        json_object_set_new(o, "file", output_json_text(arena, str_of(f->file)));
        json_object_set_new(o, "line", f->line ? json_integer((json_int_t)f->line) : json_null());
        json_object_set_new(o, "message", output_json_text(arena, str_of(f->message)));
        json_object_set_new(o, "safer", output_json_text(arena, str_of(f->safer)));
        json_array_append_new(list, o);
    }
    return json_pack("{s:o}", "findings", list);
}

/* The message with what to do, where a form has one text only. */
static Str
whole_message(Arena *arena, const Finding *f)
{
    return f->safer ? str_of(str_printf(arena, "%s. %s", f->message, f->safer))
                    : str_of(f->message);
}

/* ---- GitHub ---- */

/* A workflow command ends at the line's end, its properties at a colon or comma: those are written
 * as %XX, or else a file's name could begin a command of its own. */
static void
add_escaped(StrBuf *out, Str text, bool property)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ',')))
            strbuf_printf(out, "%%%02X", (unsigned char)c);
        else
            strbuf_addc(out, c);
    }
}

static void
add_annotation(Arena *arena, StrBuf *out, const Finding *f)
{
    strbuf_printf(out, "::%s ", severities[f->severity].github);
    if (f->file) {
        strbuf_puts(out, "file=");
        add_escaped(out, str_of(f->file), true);
        strbuf_puts(out, ",");
    }
    if (f->file && f->line)
        strbuf_printf(out, "line=%zu,", f->line);
    strbuf_puts(out, "title=");
    add_escaped(out, str_of(f->rule), true);
    strbuf_puts(out, "::");
    add_escaped(out, whole_message(arena, f), false);
    strbuf_puts(out, "\n");
}

static size_t
count_of(const Findings *findings, Severity severity)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->n; i++)
        count += findings->p[i].severity == severity;
    return count;
}

/* Worst first, and no more of a kind than are shown: the last of them says how many others. */
static void
print_github(Arena *arena, const Findings *findings, const char *nothing, StrBuf *out)
{
    for (int severity = SEVERITY_ERROR; severity >= SEVERITY_INFO; severity--) {
        size_t count = count_of(findings, (Severity)severity), shown = 0;
        size_t most = count > ANNOTATIONS_MAX ? ANNOTATIONS_MAX - 1 : ANNOTATIONS_MAX;
        for (size_t i = 0; i < findings->n && shown < most; i++) {
            if (findings->p[i].severity != (Severity)severity)
                continue;
            add_annotation(arena, out, &findings->p[i]);
            shown++;
        }
        if (shown < count)
            strbuf_printf(out, "::%s title=lockstep::%zu more of this kind are in the summary\n",
                          severities[severity].github, count - shown);
    }
    if (!findings->n)
        strbuf_printf(out, "%s\n", nothing);
}

/* In a cell of a Markdown table: nothing may end the cell or begin markup. */
static void
add_cell(StrBuf *out, Str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20)
            strbuf_addc(out, ' ');
        else if (c == '&' || c == '<' || c == '>')
            strbuf_puts(out, c == '&' ? "&amp;" : c == '<' ? "&lt;" : "&gt;");
        else if (strchr("|\\*_[]", c))
            strbuf_printf(out, "\\%c", c);
        else
            strbuf_addc(out, text.p[i]);
    }
}

static bool
append_summary(Cli *cli, const Findings *findings, const char *nothing, Error *err)
{
    const char *path = env_get(cli->environ_, "GITHUB_STEP_SUMMARY");
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    size_t shown = 0;
    if (!path || !*path)
        return true;
    strbuf_puts(&out, "### lockstep\n\n");
    if (findings->n)
        strbuf_puts(&out, "| | where | what happens | how to mend it |\n|---|---|---|---|\n");
    else
        strbuf_printf(&out, "%s\n", nothing);
    for (int severity = SEVERITY_ERROR; severity >= SEVERITY_INFO; severity--) {
        for (size_t i = 0; i < findings->n && shown < SUMMARY_MAX; i++) {
            const Finding *f = &findings->p[i];
            if (f->severity != (Severity)severity)
                continue;
            strbuf_printf(&out, "| %s | ", severities[severity].name);
            add_cell(&out, f->file ? str_of(f->file) : STR(""));
            if (f->file && f->line)
                strbuf_printf(&out, ":%zu", f->line);
            strbuf_puts(&out, " | ");
            add_cell(&out, str_of(f->message));
            strbuf_printf(&out, " (%s) | ", f->rule);
            add_cell(&out, f->safer ? str_of(f->safer) : STR(""));
            strbuf_puts(&out, " |\n");
            shown++;
        }
    }
    if (shown < findings->n)
        strbuf_printf(&out, "\nand %zu more\n", findings->n - shown);
    strbuf_puts(&out, "\n");
    /* More than the step may have is refused as a whole: the annotations are there in any case. */
    return out.n >= SUMMARY_CEILING || fs_append(path, strbuf_str(&out), err);
}

/* ---- SARIF and GitLab ---- */

static json_t *
sarif_rule(Arena *arena, const char *name)
{
    const DeployRule *rule = deploy_rule(name);
    json_t *o = json_pack("{s:s}", "id", name);
    if (!rule)
        return o;
    json_object_set_new(
        o, "shortDescription",
        json_pack("{s:o}", "text", output_json_text(arena, str_of(deploy_rule_what(arena, rule)))));
    json_object_set_new(o, "help",
                        json_pack("{s:o}", "text", output_json_text(arena, str_of(rule->mend))));
    json_object_set_new(o, "defaultConfiguration",
                        json_pack("{s:s}", "level", severities[rule->severity].sarif));
    return o;
}

/* A path as a reference of a URI. */
static char *
uri_of(Arena *arena, const char *path)
{
    StrBuf out = strbuf_new(arena, 4 * strlen(path) + 1);
    for (; *path; path++) {
        bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
                     (*path >= '0' && *path <= '9') || strchr("/-._~", *path);
        if (plain)
            strbuf_addc(&out, *path);
        else
            strbuf_printf(&out, "%%%02X", (unsigned char)*path);
    }
    return out.p;
}

static json_t *
sarif_location(Arena *arena, const Finding *f)
{
    /* Whoever shows the results refuses one without any place. */
    json_t *place = json_pack("{s:{s:s,s:s}}", "artifactLocation", "uri",
                              uri_of(arena, f->file ? f->file : no_file), "uriBaseId", "%SRCROOT%");
    if (f->file && f->line)
        json_object_set_new(place, "region", json_pack("{s:I}", "startLine", (json_int_t)f->line));
    return json_pack("{s:o}", "physicalLocation", place);
}

static json_t *
sarif(Arena *arena, const Findings *findings)
{
    json_t *rules = json_array(), *results = json_array();
    VEC(const char *) names = {0};
    for (size_t i = 0; i < findings->n; i++) {
        const Finding *f = &findings->p[i];
        size_t at = 0;
        while (at < names.n && strcmp(names.p[at], f->rule) != 0)
            at++;
        if (at == names.n) {
            *vec_push(arena, &names) = f->rule;
            json_array_append_new(rules, sarif_rule(arena, f->rule));
        }
        json_array_append_new(results, json_pack("{s:s,s:I,s:s,s:{s:o},s:[o]}", "ruleId", f->rule,
                                                 "ruleIndex", (json_int_t)at, "level",
                                                 severities[f->severity].sarif, "message", "text",
                                                 output_json_text(arena, whole_message(arena, f)),
                                                 "locations", sarif_location(arena, f)));
    }
    return json_pack("{s:s,s:s,s:[{s:{s:{s:s,s:s,s:o}},s:s,s:o}]}", "$schema",
                     "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0", "runs",
                     "tool", "driver", "name", "lockstep", "version", LOCKSTEP_VERSION, "rules",
                     rules, "columnKind", "utf16CodeUnits", "results", results);
}

/* By its fingerprint a finding is known again in the next report: the line is no part of it,
 * because it moves; what stands there twice is numbered. */
static json_t *
gitlab(Arena *arena, const Findings *findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < findings->n; i++) {
        const Finding *f = &findings->p[i];
        const char *file = f->file ? f->file : no_file;
        size_t same = 0;
        for (size_t k = 0; k < i; k++) {
            const Finding *other = &findings->p[k];
            same += strcmp(other->rule, f->rule) == 0 && strcmp(other->message, f->message) == 0 &&
                    strcmp(other->file ? other->file : no_file, file) == 0;
        }
        char *known_by = str_printf(arena, "%s\n%s\n%s\n%zu", f->rule, file, f->message, same);
        json_array_append_new(
            list, json_pack("{s:o,s:s,s:s,s:s,s:{s:o,s:{s:I}}}", "description",
                            output_json_text(arena, whole_message(arena, f)), "check_name", f->rule,
                            "fingerprint", hash_hex(arena, HASH_SHA256, str_of(known_by)),
                            "severity", severities[f->severity].gitlab, "location", "path",
                            output_json_text(arena, str_of(file)), "lines", "begin",
                            (json_int_t)(f->line ? f->line : 1)));
    }
    return list;
}

/* ---- which ---- */

bool
findings_print(Cli *cli,
               const Findings *findings,
               json_t *object,
               const char *nothing,
               int *ret_status,
               Error *err)
{
    const char *form = cli_option(cli, "format");
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    bool written;
    if (!form)
        form = cli_option(cli, "json") ? "json" : "text";
    if (strcmp(form, "json") != 0)
        json_decref(object);
    if (strcmp(form, "json") == 0) {
        written = output_json(cli->arena, object, err);
    } else if (strcmp(form, "sarif") == 0) {
        written = output_json(cli->arena, sarif(cli->arena, findings), err);
    } else if (strcmp(form, "gitlab") == 0) {
        written = output_json(cli->arena, gitlab(cli->arena, findings), err);
    } else if (strcmp(form, "github") == 0) {
        print_github(cli->arena, findings, nothing, &out);
        written =
            output_write(strbuf_str(&out), err) && append_summary(cli, findings, nothing, err);
    } else {
        print_text(cli, findings, nothing, &out);
        written = output_write(strbuf_str(&out), err);
    }
    if (written)
        *ret_status = count_of(findings, SEVERITY_ERROR) ? error_code_status(ERROR_REFUSED) : 0;
    return written;
}
