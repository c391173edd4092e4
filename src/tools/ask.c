/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a framework which database it would use: a few lines in its own language that read its
 * settings the way it does and print one URL. The slow way, when files and variables do not tell.
 */

#include <string.h>

#include "tools/adapters.h"
#include "core/banned.h"

/* Percent-encoded by urllib: a password may hold anything. The first word is the settings module.
 */
static const char django_code[] =
    "import os, sys\n"
    "from urllib.parse import quote\n"
    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', sys.argv[1])\n"
    "from django.conf import settings\n"
    "d = settings.DATABASES['default']\n"
    "def q(key): return quote(str(d.get(key) or ''), safe='')\n"
    "kind = d['ENGINE'].rsplit('.', 1)[-1]\n"
    "kind = {'postgresql_psycopg2': 'postgresql', 'postgis': 'postgresql',\n"
    "        'sqlite3': 'sqlite', 'spatialite': 'sqlite'}.get(kind, kind)\n"
    "login = q('USER') + (':' + q('PASSWORD') if d.get('PASSWORD') else '')\n"
    "login += '@' if login else ''\n"
    "host, port = str(d.get('HOST') or ''), str(d.get('PORT') or '')\n"
    "if kind == 'sqlite':\n"
    "    url = 'sqlite:///' + quote(os.path.abspath(str(d['NAME'])))\n"
    "elif host.startswith('/'):\n"
    "    url = '%s://%s/%s?host=%s' % (kind, login, q('NAME'), quote(host, safe=''))\n"
    "else:\n"
    "    host = '[%s]' % host if ':' in host else host\n"
    "    url = '%s://%s%s%s/%s' % (kind, login, host, ':' + port if port else '', q('NAME'))\n"
    "print('\\nlockstep-database=' + url)\n";

static const char flask_code[] = "from flask.cli import ScriptInfo\n"
                                 "app = ScriptInfo().load_app()\n"
                                 "url = app.config.get('SQLALCHEMY_DATABASE_URI')\n"
                                 "if not url:\n"
                                 "    url = (app.config.get('SQLALCHEMY_BINDS') or {}).get(None)\n"
                                 "if hasattr(url, 'render_as_string'):\n"
                                 "    url = url.render_as_string(hide_password=False)\n"
                                 "if url:\n"
                                 "    print('\\nlockstep-database=' + str(url))\n";

/* Its env.py decides, as for `upgrade --sql`, which connects to nothing and here makes nothing. The
 * URL that a new project's alembic.ini begins with is none. */
static const char alembic_code[] =
    "import io, sys\n"
    "from alembic.config import Config\n"
    "from alembic.runtime.environment import EnvironmentContext\n"
    "from alembic.script import ScriptDirectory\n"
    "found = []\n"
    "configure = EnvironmentContext.configure\n"
    "def asking(self, connection=None, url=None, *rest, **more):\n"
    "    found.append(url if connection is None else connection.engine.url)\n"
    "    configure(self, connection, url, *rest, **more)\n"
    "EnvironmentContext.configure = asking\n"
    "config = Config(sys.argv[1])\n"
    "script = ScriptDirectory.from_config(config)\n"
    "with EnvironmentContext(config, script, fn=lambda *_: [], as_sql=True,\n"
    "                        output_buffer=io.StringIO()):\n"
    "    script.run_env()\n"
    "url = next((url for url in found if url), '')\n"
    "if hasattr(url, 'render_as_string'):\n"
    "    url = url.render_as_string(hide_password=False)\n"
    "if url and not str(url).startswith('driver:'):\n"
    "    print('\\nlockstep-database=' + str(url))\n";

/* What is not a URL already is put together as Rails has it after all merging. */
static const char rails_code[] =
    "require 'erb'; "
    "base = ActiveRecord::Base; "
    "c = base.respond_to?(:connection_db_config) ? "
    "base.connection_db_config.configuration_hash : base.connection_config; "
    "q = ->(v) { ERB::Util.url_encode(v.to_s) }; "
    "kind = { 'postgis' => 'postgresql', 'trilogy' => 'mysql', 'mysql2' => 'mysql', "
    "'sqlite3' => 'sqlite' }.fetch(c[:adapter].to_s, c[:adapter].to_s); "
    "url = if kind == 'sqlite' then 'sqlite:///' + "
    "File.expand_path(c[:database].to_s, Rails.root.to_s).split('/').map(&q).join('/') "
    "else login = q[c[:username]]; login += ':' + q[c[:password]] if c[:password]; "
    "login += '@' unless login.empty?; h = c[:host].to_s; "
    "port = c[:port] ? \":#{c[:port]}\" : ''; "
    "h.start_with?('/') ? \"#{kind}://#{login}/#{q[c[:database]]}?host=#{q[h]}\" : "
    "\"#{kind}://#{login}#{h.include?(':') ? \"[#{h}]\" : h}#{port}/#{q[c[:database]]}\" end; "
    "puts; puts 'lockstep-database=' + url";

/* The knexfile may be CommonJS or a module, one object or one for each NODE_ENV, and may give
 * promises. import() takes both kinds. */
static const char knex_code[] =
    "const { pathToFileURL } = require('url'), { resolve } = require('path');\n"
    "(async () => {\n"
    "  const module_ = await import(pathToFileURL(resolve(process.argv[1])).href);\n"
    "  let all = module_.default ?? module_;\n"
    "  all = all && all.default ? all.default : all;\n"
    "  if (typeof all === 'function') all = await all();\n"
    "  const c = (all && all[process.argv[2]]) || all;\n"
    "  let to = typeof c.connection === 'function' ? await c.connection() : c.connection;\n"
    "  if (to && to.connectionString) to = to.connectionString;\n"
    "  const client = String(c.client || 'pg');\n"
    "  const kind = /sqlite/.test(client) ? 'sqlite' : /mysql|maria/.test(client) ? 'mysql' : "
    "'postgresql';\n"
    "  const q = (v) => encodeURIComponent(v ?? '');\n"
    "  let url = to;\n"
    "  if (kind === 'sqlite' && typeof to === 'object')\n"
    "    url = 'sqlite:///' + resolve(to.filename).split('/').map(q).join('/');\n"
    "  else if (typeof to === 'object') {\n"
    "    const login = to.user ? q(to.user) + (to.password ? ':' + q(to.password) : '') + '@' : "
    "'';\n"
    "    const host = to.host || 'localhost', socket = host.startsWith('/') || to.socketPath;\n"
    "    const at = socket ? '' : host.includes(':') ? `[${host}]` : host;\n"
    "    url = `${kind}://${login}${at}${to.port ? ':' + to.port : ''}/${q(to.database)}`;\n"
    "    if (socket) url += '?host=' + q(to.socketPath || host);\n"
    "  }\n"
    "  if (url) console.log('\\nlockstep-database=' + url);\n"
    "})();\n";

static char **
command(Arena *arena,
        char *const *program,
        const char *flag,
        const char *code,
        const char *a,
        const char *b)
{
    const char *rest[] = {flag, code, a, b};
    Words words = {0};
    for (; *program; program++)
        words_add(arena, &words, str_of(*program));
    for (size_t i = 0; i < COUNT_OF(rest) && rest[i]; i++)
        words_add(arena, &words, str_of(rest[i]));
    return words_end(arena, &words);
}

/* The interpreter that a script of a virtual environment runs in stands beside it. */
static char **
python_beside(Arena *arena, const Project *project)
{
    const char *program = project->prefix ? project->prefix[0] : "";
    const char *slash = strrchr(program, '/');
    Words words = {0};
    words_add(arena, &words,
              slash ? str_of(str_printf(arena, "%.*s/python", (int)(slash - program), program))
                    : STR("python3"));
    return words_end(arena, &words);
}

static const char *
knex_mode(const Project *project)
{
    const char *set = env_get(project->environ_, "NODE_ENV");
    return set && *set ? set : project->mode ? project->mode : "development";
}

char **
tool_ask_database(Arena *arena, const Project *project)
{
    static char node[] = "node";
    char *const node_program[] = {node, NULL};
    const ToolDetails *details = details_of(project);
    const Tool *tool = project->tool;
    if (!details)
        return NULL;
    if (tool == tool_row(TOOL_DJANGO) && details->settings && project->prefix)
        return command(arena, project->prefix, "-c", django_code, details->settings, NULL);
    if (tool == tool_row(TOOL_FLASK_MIGRATE))
        return command(arena, python_beside(arena, project), "-c", flask_code, NULL, NULL);
    if (tool == tool_row(TOOL_ALEMBIC) && details->config &&
        str_ends(str_of(details->config), STR(".ini")))
        return command(arena, python_beside(arena, project), "-c", alembic_code, details->config,
                       NULL);
    if (tool == tool_row(TOOL_RAILS) && project->prefix)
        return command(arena, project->prefix, "runner", rails_code, NULL, NULL);
    if (tool == tool_row(TOOL_KNEX) && details->config)
        return command(arena, node_program, "-e", knex_code, details->config, knex_mode(project));
    return NULL;
}
