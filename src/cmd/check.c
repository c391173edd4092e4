/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `check`: what will go wrong at deploy, before it does. Each part adds findings; what cannot be
 * looked at is a finding too, never silence.
 */

#include "cmd/check.h"
#include "cmd/findings.h"
#include "core/secret.h"
#include "deploy/look.h"
#include "proc/proc.h"

#include <fnmatch.h>
#include <string.h>

#include "core/banned.h"

enum { FRAMEWORK_MS = 120000, IGNORE_CEILING = 1 << 20 };

typedef struct Check {
    Cli *cli;
    RunOptions options;
    bool found, preflight;
    Words dirs; /* of migrations, below the current directory */
    Findings *findings;
} Check;

static void
add(Check *c, const char *rule, Severity severity, const char *file, char *message, char *safer)
{
    Arena *arena = c->cli->arena;
    /* What a framework or a server says may quote a password. */
    message = str_dup(arena, secret_redact(arena, str_of(message)));
    *vec_push(arena, c->findings) = (Finding){.rule = rule,
                                              .severity = severity,
                                              .file = file ? str_dup(arena, str_of(file)) : NULL,
                                              .message = message,
                                              .safer = safer};
}

#define TEXT(...) str_printf(c->cli->arena, __VA_ARGS__)

/* An error becomes a finding: one thing that is wrong must not hide the others. */
static void
add_error(Check *c, const char *rule, const Error *why)
{
    add(c, rule, SEVERITY_ERROR, why->file[0] ? why->file : NULL, TEXT("%s", why->message),
        why->hint[0] ? TEXT("%s", why->hint) : NULL);
    c->findings->p[c->findings->n - 1].line = why->line;
}

/* ---- database and plan ---- */

static void
look_at_role(Check *c, Db *db, const DbFacts *facts)
{
    DbResult r;
    Error ignored = ERROR_INIT;
    if (facts->pooled)
        add(c, "pooled-url", SEVERITY_WARNING, NULL,
            TEXT("%s goes through a pooler: session locks do not hold there, so that the lease "
                 "table is used",
                 c->options.url->display),
            TEXT("Give migrations the direct address: DIRECT_URL or LOCKSTEP_DATABASE_URL."));
    if (!db_has_query(db, Q_ROLE_STRENGTH) ||
        !db_ask(db, c->cli->arena, Q_ROLE_STRENGTH, NULL, &r, &ignored) || !r.rows ||
        !DB_CELL(&r, 0, 0).n)
        return;
    add(c, "strong-role", SEVERITY_WARNING, NULL,
        TEXT("the role '%s' is stronger than migrations need: " STR_FMT,
             facts->user ? facts->user : "", STR_ARG(DB_CELL(&r, 0, 0))),
        TEXT("Migrate as the owner of the tables, and let the service have a weaker role still: "
             "LOCKSTEP_DATABASE_URL is for migrating only."));
}

static void
look_at_plan(Check *c, const Survey *s)
{
    Error why = ERROR_INIT;
    const Plan *plan = &s->plan;
    for (size_t i = 0; i < s->tool.troubles.n; i++) {
        const ToolTrouble *t = &s->tool.troubles.p[i];
        add(c, "left-behind", t->blocks ? SEVERITY_ERROR : SEVERITY_WARNING, NULL, t->what,
            t->repair);
    }
    if (!plan_allows(plan, &s->source, &s->ledger, &c->options.policy, &why))
        add_error(c, "plan-refused", &why);
    for (size_t i = 0; i < plan->missing.n; i++)
        add(c, "missing-file", SEVERITY_WARNING, NULL,
            TEXT("version %s is applied, and its file is not here",
                 plan->missing.p[i].row->version),
            TEXT("Put the file back: the image may be built without it."));
}

static void
look_at_database(Check *c)
{
    AUTO_DB db = NULL;
    Error why = ERROR_INIT;
    Survey survey = {0};
    RunOptions options = c->options;
    if (cli_is_absent_file(options.url))
        return;
    if (!setting_is_set(&c->cli->settings, SET_WAIT))
        options.wait_ms = 0;
    if (!run_connect(c->cli->arena, &c->cli->wait, &options, "lockstep", true, &db, &why)) {
        add_error(c, "no-database", &why);
        return;
    }
    if (!run_survey(c->cli->arena, db, &options, true, &survey, &why)) {
        add_error(c, "plan-refused", &why);
        return;
    }
    look_at_role(c, db, &survey.facts);
    look_at_plan(c, &survey);
}

/* ---- files ---- */

/* Where the migrations lie: of Django each app has its own folder. Those of installed packages are
 * somebody else's. */
static void
find_dirs(Check *c)
{
    const Project *p = c->options.project;
    const char *one = p ? p->migrations : c->options.source.dir;
    Arena *arena = c->cli->arena;
    ToolFiles files = {0};
    Error ignored = ERROR_INIT;
    if (one) {
        *vec_push(arena, &c->dirs) = str_dup(arena, str_of(one));
        return;
    }
    if (!p || !tool_files(arena, p, &files, &ignored))
        return;
    for (size_t i = 0; i < files.items.n; i++) {
        const char *file = files.items.p[i].file, *slash = file ? strrchr(file, '/') : NULL;
        bool known = !slash || *file == '/';
        Str dir = known ? STR("") : (Str){file, (size_t)(slash - file)};
        for (size_t k = 0; k < c->dirs.n && !known; k++)
            known = str_eq(dir, str_of(c->dirs.p[k]));
        if (!known)
            *vec_push(arena, &c->dirs) = str_dup(arena, dir);
    }
}

static void
on_git_line(void *ctx, int stream, Str line)
{
    Check *c = ctx;
    if (stream != 1 || line.n < 4)
        return;
    bool fresh = str_starts(line, STR("??"));
    char *path = str_dup(c->cli->arena, str_sub(line, 3, line.n));
    add(c, "not-committed", SEVERITY_WARNING, path,
        fresh ? TEXT("it is not under version control: other builds will not have it")
              : TEXT("it was changed and not committed"),
        TEXT("Commit it: what is deployed must be what was reviewed."));
}

/* Only in a working copy, and only where git is. */
static void
look_at_commits(Check *c)
{
    int status;
    Error ignored = ERROR_INIT;
    if (!c->dirs.n || fs_kind(".git") == FS_ABSENT ||
        !proc_which(c->cli->arena, "git", c->cli->environ_))
        return;
    Words argv = {0};
    static const char *const words[] = {"git", "status", "--porcelain", "--untracked-files=all",
                                        "--"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        *vec_push(c->cli->arena, &argv) = str_dup(c->cli->arena, str_of(words[i]));
    for (size_t i = 0; i < c->dirs.n; i++)
        *vec_push(c->cli->arena, &argv) = c->dirs.p[i];
    *vec_push(c->cli->arena, &argv) = NULL;
    ChildSpec spec = {.argv = argv.p,
                      .envp = c->cli->environ_,
                      .stdout_fd = -1,
                      .line = on_git_line,
                      .line_ctx = c,
                      .timeout_ms = FRAMEWORK_MS};
    if (!child_run(&c->cli->wait, &spec, &status, &ignored))
        log_debug("check.git", "git did not answer: %s", ignored.message);
}

/* The patterns of a .dockerignore that decide about one path: the last that fits wins. */
static bool
is_ignored(Str text, const char *path, size_t *ret_line)
{
    bool ignored = false;
    size_t number = 1;
    SCRATCH_ARENA(scratch);
    for (Str rest = text; rest.n; number++) {
        size_t end = str_find(rest, '\n');
        Str line = str_trim(str_sub(rest, 0, end));
        rest = str_sub(rest, end < rest.n ? end + 1 : rest.n, rest.n);
        bool back = str_starts(line, STR("!"));
        line = str_sub(line, back, line.n);
        while (str_starts(line, STR("/")) || str_starts(line, STR("./")))
            line = str_sub(line, line.p[0] == '/' ? 1 : 2, line.n);
        while (line.n && line.p[line.n - 1] == '/')
            line.n--;
        bool deep = str_starts(line, STR("**/"));
        char *pattern = str_dup(scratch, deep ? str_sub(line, 3, line.n) : line);
        const char *slash = strrchr(path, '/');
        if (!line.n || line.p[0] == '#' ||
            (fnmatch(pattern, path, FNM_PATHNAME | FNM_LEADING_DIR) != 0 &&
             !(deep && slash && fnmatch(pattern, slash + 1, FNM_PATHNAME) == 0)))
            continue;
        ignored = !back;
        *ret_line = number;
    }
    return ignored;
}

static void
look_at_image(Check *c)
{
    Str text;
    Error ignored = ERROR_INIT;
    if (fs_kind(".dockerignore") != FS_FILE ||
        !fs_read(c->cli->arena, ".dockerignore", IGNORE_CEILING, &text, &ignored))
        return;
    for (size_t i = 0; i < c->dirs.n; i++) {
        const char *dir = c->dirs.p[i];
        size_t line = 0;
        while (dir[0] == '.' && dir[1] == '/')
            dir += 2;
        if (!is_ignored(text, dir, &line))
            continue;
        add(c, "not-in-image", SEVERITY_ERROR, ".dockerignore",
            TEXT("it keeps '%s' out of the image: its migrations would not run", dir),
            TEXT("Remove the line, or add !%s behind it.", dir));
        c->findings->p[c->findings->n - 1].line = line;
    }
}

/* On the command line alone: an image that lockstep.yaml deploys may not be built yet. */
static void
look_into_image(Check *c)
{
    Error why = ERROR_INIT;
    const SettingValue *image = &c->cli->settings.values[SET_IMAGE];
    Words dirs = c->dirs;
    *vec_push(c->cli->arena, &dirs) = NULL;
    if (image->from == FROM_FLAG && !check_image(c->cli, image->text, dirs.p, c->findings, &why))
        add_error(c, "not-in-image", &why);
}

/* ---- the framework's own check ---- */

typedef struct Said {
    Check *check;
    char first[400];
    char drift[400]; /* what the models say and no migration does */
    bool drifts, named;
    bool found; /* it named something */
} Said;

static void
keep(char *into, size_t size, Str text)
{
    size_t n = text.n < size - 1 ? text.n : size - 1;
    memcpy(into, text.p, n);
    into[n] = 0;
}

/* The line that tells of drift, and the next that says what it is: "Migrations for 'blog': Create
 * model Hit". */
static void
look_for_drift(Said *said, Str text)
{
    const char *mark = said->check->options.project->tool->drift_says;
    bool tells = mark && !said->drifts && str_find_str(text, str_of(mark)) < text.n;
    bool what = said->drifts && !said->named && str_starts(text, STR("- "));
    size_t n = strlen(said->drift);
    if (tells)
        keep(said->drift, sizeof said->drift, text);
    if (what && n + 2 < sizeof said->drift) {
        said->drift[n] = ' ';
        keep(said->drift + n + 1, sizeof said->drift - n - 1, str_sub(text, 2, text.n));
    }
    said->drifts |= tells;
    said->named |= what;
}

static void
on_framework_line(void *ctx, int stream, Str line)
{
    Said *said = ctx;
    Str text = str_trim(line);
    (void)stream;
    look_for_drift(said, text);
    bool telling = str_find_str(text, STR("rror:")) < text.n || !said->first[0];
    if (text.n && telling && (!said->first[0] || !strstr(said->first, "rror:")))
        keep(said->first, sizeof said->first, text);
    /* Django: "?: (security.W004) You have not set ..." */
    size_t open = str_find_str(text, STR(": ("));
    if (open < text.n && str_find(str_sub(text, open, text.n), '.') + open < text.n) {
        Check *c = said->check;
        said->found = true;
        Str id = str_sub(text, open + 3, text.n);
        id.n = str_find(id, ')');
        size_t dot = str_find(id, '.');
        bool error = dot + 1 < id.n && (id.p[dot + 1] == 'E' || id.p[dot + 1] == 'C');
        add(c, "framework", error ? SEVERITY_ERROR : SEVERITY_WARNING, NULL,
            TEXT(STR_FMT, STR_ARG(text)), NULL);
    }
}

/* Runs one of the tool's own checks; *ret_status 0 = it is content. */
static bool
run_framework(Check *c, const char *words, Said *said, int *ret_status, Error *err)
{
    const Project *p = c->options.project;
    ToolEnvironment how = {.url = c->options.tool_url, .parsed = c->options.url};
    ChildSpec spec = {.argv = tool_command(c->cli->arena, p, words),
                      .envp = tool_environment(c->cli->arena, p, &how),
                      .stdout_fd = -1,
                      .line = on_framework_line,
                      .line_ctx = said,
                      .grace_ms = c->options.grace_ms,
                      .timeout_ms = FRAMEWORK_MS};
    return child_run(&c->cli->wait, &spec, ret_status, err);
}

static bool
look_at_framework(Check *c, Error *err)
{
    const Project *p = c->options.project;
    const char *level = setting_text(&c->cli->settings, SET_FAIL_LEVEL);
    int status = 0;
    if (!p || !p->prefix)
        return true;
    Said said = {.check = c};
    if (p->tool->deploy_check) {
        if (!run_framework(c, TEXT("%s %s", p->tool->deploy_check, level), &said, &status, err))
            return false;
        if (status != 0)
            add(c, "framework", SEVERITY_ERROR, NULL,
                TEXT("%s's own check failed: %s", p->tool->title, said.first), NULL);
        if (status != 0 && !said.found)
            return true; /* it did not even start: the models cannot be compared */
    }
    said = (Said){.check = c};
    if (p->tool->model_drift) {
        if (!run_framework(c, p->tool->model_drift, &said, &status, err))
            return false;
        /* It fails for other reasons too: this version has no such command; Alembic compares with a
         * database that is up to date only. */
        if (status != 0 && said.drifts)
            add(c, "model-drift", SEVERITY_WARNING, NULL,
                TEXT("the models say something that no migration does: %s", said.drift),
                TEXT("Make the migration while developing, and commit it."));
    }
    return true;
}

/* ---- all of it ---- */

/* Where a run is about to migrate, the deploy is under way: how its files are written stops it no
 * more, and no server is asked. */
static bool
look_at_platform(Check *c, Error *err)
{
    const Settings *settings = &c->cli->settings;
    const char *target = setting_text(settings, SET_TARGET);
    bool dokku = target && strcmp(target, "dokku") == 0;
    DeployLook how = {.wait = &c->cli->wait,
                      .environ_ = c->cli->environ_,
                      .ask_servers = !c->preflight,
                      .dokku_host = dokku ? setting_text(settings, SET_HOST) : NULL};
    size_t before = c->findings->n;
    if (!cli_open_signals(c->cli, err) || !deploy_look(c->cli->arena, &how, c->findings, err))
        return false;
    for (size_t i = before; i < c->findings->n && c->preflight; i++)
        if (c->findings->p[i].severity == SEVERITY_ERROR)
            c->findings->p[i].severity = SEVERITY_WARNING;
    return true;
}

static bool
check_all(Cli *cli, bool preflight, Findings *ret, Error *err)
{
    Error why = ERROR_INIT;
    Check check = {.cli = cli, .findings = ret, .preflight = preflight}, *c = &check;
    tool_look_at_scripts(cli->arena, ".", ret);
    if (!look_at_platform(c, err))
        return false;
    if (!cli_migrate_options(cli, &check.options, &check.found, &why)) {
        if (why.code == ERROR_SIGNALLED) {
            *err = why;
            return false;
        }
        add_error(c, "configuration", &why);
        look_into_image(c);
        return true;
    }
    if (!check.found) {
        add(c, "nothing-here", SEVERITY_INFO, NULL, TEXT("there are no migrations here"),
            TEXT("`lockstep detect` says where it looked."));
        look_into_image(c);
        return true;
    }
    find_dirs(c);
    look_at_commits(c);
    look_at_image(c);
    look_into_image(c);
    look_at_database(c);
    return look_at_framework(c, err);
}

/* Without what --ignore names. A name that no rule has is said: the finding would stay. */
static void
leave_out(Cli *cli, Findings *findings)
{
    char **rules = setting_list(&cli->settings, SET_IGNORE);
    for (size_t i = 0; rules && rules[i]; i++) {
        size_t kept = 0;
        if (!deploy_rule(rules[i]))
            log_warn("check.ignore", "there is no rule '%s' to leave out", rules[i]);
        for (size_t k = 0; k < findings->n; k++)
            if (strcmp(findings->p[k].rule, rules[i]) != 0)
                findings->p[kept++] = findings->p[k];
        findings->n = kept;
    }
}

bool
check_preflight(Cli *cli, Error *err)
{
    Findings findings = {0};
    size_t errors = 0;
    const Finding *first = NULL;
    if (!check_all(cli, true, &findings, err))
        return false;
    leave_out(cli, &findings);
    for (size_t i = 0; i < findings.n; i++) {
        const Finding *f = &findings.p[i];
        if (f->severity == SEVERITY_ERROR && !errors++)
            first = f;
        else if (f->severity == SEVERITY_WARNING)
            log_warn("check.finding", "%s%s%s (%s)", f->file ? f->file : "", f->file ? ": " : "",
                     f->message, f->rule);
    }
    if (!errors)
        return true;
    error_set(err, ERROR_REFUSED, "the preflight check found %zu error%s, the first: %s (%s)",
              errors, errors == 1 ? "" : "s", first->message, first->rule);
    if (first->file)
        error_at(err, first->file, first->line, 0);
    return error_hint(err, "%s", first->safer ? first->safer : "`lockstep check` lists them all.");
}

/* ---- the command ---- */

int
cmd_check(Cli *cli, Error *err)
{
    Findings findings = {0};
    int status;
    if (!check_all(cli, false, &findings, err))
        return error_exit_status(err);
    leave_out(cli, &findings);
    if (!findings_print(cli, &findings, findings_json(cli->arena, &findings),
                        "Nothing was found that would go wrong.", &status, err))
        return error_exit_status(err);
    return status;
}
