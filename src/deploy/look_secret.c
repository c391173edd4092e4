/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in files under version control. Only what can hardly be anything else is told: values
 * that are read from somewhere, that name themselves examples, or that everybody uses for
 * development are left alone. The value is never shown.
 */

#include <ctype.h>
#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

enum { SECRET_LEAST = 8, NAME_LONGEST = 60 };

static bool
has_nocase(Str text, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= text.n; i++)
        if (str_eq_nocase(str_sub(text, i, i + n), str_of(what)))
            return true;
    return false;
}

/* Taken from elsewhere, or not meant to be secret. */
static bool
is_harmless(Str value)
{
    static const char *const marks[] = {
        "$",           "{",        "<",    "*",      "...",   "example",  "change",  "your",
        "placeholder", "dummy",    "test", "dev",    "xxx",   "todo",     "replace", "secret",
        "pass",        "insecure", "fake", "sample", "local", "postgres", "mysql",   "admin",
        "root",        "none",     "null", "enc[",   "here",  "redacted", "demo"};
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (has_nocase(value, marks[i]))
            return true;
    return false;
}

/* What tests start for themselves stands in the file of the pipeline, and is gone with it. */
static bool
is_pipeline(const SceneFile *f)
{
    return look_has(str_of(f->path), ".github/") || look_has(str_of(f->path), ".gitlab");
}

/* The name of a variable that holds a secret as it is, not where to find it. */
static bool
is_secret_name(Str name)
{
    static const char *const ends[] = {"PASSWORD",        "PASSWD",    "SECRET",  "SECRET_KEY",
                                       "SECRET_KEY_BASE", "TOKEN",     "API_KEY", "PRIVATE_KEY",
                                       "ACCESS_KEY",      "MASTER_KEY"};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        size_t n = strlen(ends[i]);
        if (name.n >= n && str_eq_nocase(str_sub(name, name.n - n, name.n), str_of(ends[i])))
            return true;
    }
    return false;
}

/* The text that base64 stands for; absent where it is not printable, or no base64. */
static Str
decoded(Arena *arena, Str value)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    StrBuf out = strbuf_new(arena, value.n + 4);
    uint32_t bits = 0;
    if (value.n < 4 || value.n % 4)
        return STR_ABSENT;
    for (size_t i = 0; i < value.n && value.p[i] != '='; i++) {
        const char *digit = memchr(digits, value.p[i], sizeof digits - 1);
        if (!digit)
            return STR_ABSENT;
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 == 0)
            continue;
        char c = (char)(bits >> (6 - 2 * (i % 4)));
        if (c < 0x20 && c != '\n' && c)
            return STR_ABSENT;
        strbuf_addc(&out, c);
    }
    return out.p ? strbuf_str(&out) : STR_ABSENT;
}

/* "app-credentials-2", "db.internal.example": where a secret is, not what it is. */
static bool
is_name(Str value)
{
    bool joined = false;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
        joined |= c == '-' || c == '.';
    }
    return joined;
}

/* Letters and digits, no words and no path: what a generator makes. */
static bool
looks_generated(Str value)
{
    SCRATCH_ARENA(scratch);
    bool letter = false, digit = false;
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (isspace(c) || c == '(' || c == '`')
            return false;
        letter |= isalpha(c) != 0;
        digit |= isdigit(c) != 0;
    }
    Str plain = decoded(scratch, value);
    return value.n >= SECRET_LEAST && letter && digit && value.p[0] != '/' && value.p[0] != '.' &&
           !is_name(value) && !is_harmless(value) && !(plain.p && is_harmless(plain));
}

/* scheme://user:password@host in the line; the scheme is shown. `far`: hosts of one word, as of
 * containers beside it, do not count. */
static bool
has_url_password(Str line, bool far, Str *ret_scheme)
{
    for (size_t at, from = 0; from < line.n; from = at + 3) {
        at = from + str_find_str(str_sub(line, from, line.n), STR("://"));
        if (at >= line.n)
            return false;
        size_t begin = at, end = at + 3;
        while (begin > from &&
               (isalnum((unsigned char)line.p[begin - 1]) || strchr("+-.", line.p[begin - 1])))
            begin--;
        while (end < line.n && !strchr("/ \t\"'`,;<>()@?#", line.p[end]))
            end++;
        Str user = str_sub(line, at + 3, end);
        size_t colon = str_find(user, ':');
        Str password = str_sub(user, colon + 1, user.n), host = str_sub(line, end + 1, line.n);
        if (end >= line.n || line.p[end] != '@' || colon >= user.n || password.n < 4)
            continue;
        size_t host_end = 0;
        while (host_end < host.n && !strchr("/:?, \t\"'", host.p[host_end]))
            host_end++;
        /* "postgres://shop:shop12@db" of a container beside it: of development as a rule. */
        if (str_find(host, '.') >= host_end && (far || !looks_generated(password)))
            continue;
        if (str_eq(str_sub(user, 0, colon), password) || is_harmless(password) ||
            str_starts(host, STR("localhost")) || str_starts(host, STR("127.")))
            continue;
        *ret_scheme = str_sub(line, begin, at);
        return true;
    }
    return false;
}

/* What stands behind a name and `=` or `:`, quotes and comments taken off. */
static Str
value_of(Str text)
{
    text = str_trim(text);
    if (text.n > 1 && strchr("\"'", text.p[0]))
        return str_sub(text, 1, 1 + str_find(str_sub(text, 1, text.n), text.p[0]));
    return str_sub(text, 0, str_find_str(text, STR(" #")));
}

/* NAME=value, NAME: value, ENV NAME value; and `value:` in the line behind `name: NAME`, which
 * `pending` remembers. */
static bool
assigns_secret(Str line, Str *pending, Str *ret_name)
{
    static const char *const before[] = {"- ", "export ", "ENV ", "ARG "};
    line = str_trim(line);
    for (size_t i = 0; i < COUNT_OF(before); i++)
        if (str_starts(line, str_of(before[i])))
            line = str_trim(str_sub(line, strlen(before[i]), line.n));
    size_t n = 0;
    while (n < line.n && (isalnum((unsigned char)line.p[n]) || line.p[n] == '_'))
        n++;
    Str name = str_sub(line, 0, n), rest = str_sub(line, n, line.n);
    if (!n || !rest.n || !strchr("=: ", rest.p[0]))
        return false;
    Str value = value_of(str_sub(rest, 1, rest.n)), before_it = *pending;
    *pending = STR("");
    if (str_eq(name, STR("name")) || str_eq(name, STR("key")))
        *pending = value;
    *ret_name = str_eq(name, STR("value")) ? before_it : name;
    /* existingSecret, imagePullSecret: the name of one. */
    if (str_ends(*ret_name, STR("Secret")) && !str_ends(*ret_name, STR("clientSecret")))
        return false;
    return is_secret_name(*ret_name) && ret_name->n <= NAME_LONGEST && looks_generated(value);
}

static void
blot(char *from, const char *to)
{
    while (from < to)
        *from++ = '*';
}

void
look_mask(char *text)
{
    for (char *at = text; (at = strstr(at, "://")); at += 3) {
        size_t n = strcspn(at + 3, "/ \t\"'`;<>()");
        char *host = memrchr(at + 3, '@', n), *colon = host ? memchr(at + 3, ':', n) : NULL;
        if (colon && colon < host)
            blot(colon + 1, host);
    }
    bool next = false; /* the word after `--password` */
    for (char *word = text; *word; word += strspn(word, " \t")) {
        char *end = word + strcspn(word, " \t"), *equals = memchr(word, '=', (size_t)(end - word));
        char *value = equals ? equals + 1 : word;
        if (*value == '\'' || *value == '"') { /* it may hold blanks */
            char *close = strchr(value + 1, *value);
            end = close ? close + 1 : value + strlen(value);
        }
        const char *name = word + strspn(word, "-\"'");
        if (next ||
            (equals && name < equals && is_secret_name((Str){name, (size_t)(equals - name)})))
            blot(value, end);
        next = *word == '-' && !equals && is_secret_name((Str){name, (size_t)(end - name)});
        word = end;
    }
}

void
look_for_secrets(Scene *s, const SceneFile *f)
{
    Str rest = f->text, line, name, pending = STR("");
    size_t sealed = SIZE_MAX; /* how far in the values of a SealedSecret stand */
    for (size_t number = 1; look_next_line(&rest, &line); number++) {
        Str text = str_trim(line);
        size_t depth = (size_t)(text.p - line.p);
        if (str_starts(text, STR("encryptedData:")))
            sealed = depth;
        else if (text.n && depth <= sealed)
            sealed = SIZE_MAX;
        if (sealed != SIZE_MAX)
            continue;
        if (str_starts(text, STR("-----BEGIN ")) && look_has(text, "PRIVATE KEY-----")) {
            look_add(s, LOOK_SECRET_IN_FILE, (Place){f, number}, "a private key");
            return;
        }
        if (f->kind == SCENE_KEY || str_starts(text, STR("#")) || str_starts(text, STR("//")))
            continue;
        if (has_url_password(text, is_pipeline(f), &name))
            look_add(s, LOOK_SECRET_IN_FILE, (Place){f, number},
                     "a " STR_FMT " URL with a password", STR_ARG(name));
        else if (assigns_secret(text, &pending, &name) &&
                 !(is_pipeline(f) && has_nocase(name, "password")))
            look_add(s, LOOK_SECRET_IN_FILE, (Place){f, number}, "the value of " STR_FMT,
                     STR_ARG(name));
    }
}

/* `data` is base64; what `stringData` says plainly is seen in its lines. */
void
look_at_secret(Scene *s, const SceneFile *f, const DocNode *doc)
{
    Str scheme;
    if (!s->versioned || f->chart)
        return;
    for (const DocNode *one = doc_first(doc_get(doc, "data")); one; one = one->next)
        if (has_url_password(decoded(s->arena, doc_text(one)), false, &scheme))
            look_add(s, LOOK_SECRET_IN_FILE, (Place){f, one->line},
                     "a " STR_FMT " URL with a password", STR_ARG(scheme));
}
