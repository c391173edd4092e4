/* SPDX-License-Identifier: Apache-2.0 */
/* `detect --image`: what an image holds, and which migrations. Nothing of it is run. */

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "core/fs.h"
#include "deploy/image.h"

#include <string.h>

#include "core/banned.h"

static json_t *
text_or_null(Arena *arena, const char *text)
{
    return output_json_text(arena, str_of(text));
}

static json_t *
json_words(Arena *arena, const Words *words)
{
    json_t *list = json_array();
    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(list, text_or_null(arena, words->p[i]));
    return list;
}

static json_t *
json_labels(Arena *arena, const Image *image)
{
    json_t *o = json_object();
    for (size_t i = 0; i < image->labels.n; i++)
        json_object_set_new(o, image->labels.p[i].name,
                            text_or_null(arena, image->labels.p[i].value));
    return o;
}

static json_t *
json_image(Arena *arena, const Image *image)
{
    Words files = image_known_files(arena, image);
    json_t *o = json_object();
    json_object_set_new(o, "name", text_or_null(arena, image->name));
    json_object_set_new(o, "source", json_string(image->archive ? "archive" : "engine"));
    json_object_set_new(o, "id", text_or_null(arena, image->id));
    json_object_set_new(o, "digests", json_words(arena, &image->digests));
    json_object_set_new(o, "tags", json_words(arena, &image->tags));
    json_object_set_new(o, "os", text_or_null(arena, image->os));
    json_object_set_new(o, "architecture", text_or_null(arena, image->architecture));
    json_object_set_new(o, "entrypoint", json_words(arena, &image->entrypoint));
    json_object_set_new(o, "cmd", json_words(arena, &image->cmd));
    json_object_set_new(o, "user", text_or_null(arena, image->user));
    json_object_set_new(o, "workdir", text_or_null(arena, image->workdir));
    json_object_set_new(o, "labels", json_labels(arena, image));
    json_object_set_new(o, "environment", json_words(arena, &image->env));
    json_object_set_new(o, "ports", json_words(arena, &image->ports));
    json_object_set_new(o, "healthcheck", json_boolean(image->healthcheck));
    json_object_set_new(o, "files", json_words(arena, &files));
    json_object_set_new(o, "script", text_or_null(arena, image->entrypoint_script));
    json_object_set_new(o, "lockstep", text_or_null(arena, image->lockstep));
    json_object_set_new(o, "shell", text_or_null(arena, image->shell));
    return o;
}

static json_t *
json_found(Arena *arena, const Image *image, const ImageMigrations *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "tool", json_string(m->tool));
    json_object_set_new(o, "evidence", json_words(arena, &m->evidence));
    json_object_set_new(o, "command", m->found ? json_words(arena, &m->command) : json_null());
    json_object_set_new(o, "format", text_or_null(arena, m->format));
    json_object_set_new(o, "image", json_image(arena, image));
    return o;
}

/* What an image says of itself must not draw on the terminal. */
static void
add_plain(StrBuf *out, const char *text)
{
    for (; *text; text++)
        strbuf_addc(out, (unsigned char)*text < ' ' || *text == 0x7F ? '?' : *text);
}

static void
add_words(StrBuf *out, const char *title, const Words *words, const char *between)
{
    if (!words->n)
        return;
    strbuf_printf(out, "%-12s", title);
    for (size_t i = 0; i < words->n; i++) {
        strbuf_puts(out, i ? between : "");
        add_plain(out, words->p[i]);
    }
    strbuf_addc(out, '\n');
}

static void
add_text(StrBuf *out, const char *title, const char *text, const char *otherwise)
{
    strbuf_printf(out, "%-12s", title);
    add_plain(out, text ? text : otherwise);
    strbuf_addc(out, '\n');
}

static void
print_found(Arena *arena, const Image *image, const ImageMigrations *m, StrBuf *out)
{
    Words files = image_known_files(arena, image);
    Words labels = {0};
    for (size_t i = 0; i < image->labels.n; i++)
        *vec_push(arena, &labels) =
            str_printf(arena, "%s=%s", image->labels.p[i].name, image->labels.p[i].value);
    add_text(out, "Image", image->id, "");
    add_words(out, "Digest", &image->digests, ", ");
    add_words(out, "Tags", &image->tags, ", ");
    add_words(out, "Entrypoint", &image->entrypoint, " ");
    add_words(out, "Command", &image->cmd, " ");
    add_text(out, "Script", image->entrypoint_script, "none");
    add_text(out, "User", image->user, "root");
    add_text(out, "Directory", image->workdir, "/");
    add_words(out, "Files", &files, ", ");
    add_words(out, "Labels", &labels, ", ");
    add_words(out, "Environment", &image->env, " ");
    add_words(out, "Ports", &image->ports, " ");
    add_text(out, "Health", image->healthcheck ? "HEALTHCHECK" : NULL, "no HEALTHCHECK");
    add_text(out, "Shell", image->shell, "none");
    add_text(out, "lockstep", image->lockstep, "not in the image");
    if (m->format)
        strbuf_printf(out, "Migrations  %s: files of format %s\n", m->sql_dir, m->format);
    else if (m->found)
        add_words(out, m->title, &m->evidence, ", ");
    else
        strbuf_puts(out, "Migrations  none found\n");
    add_words(out, "Migrate", &m->command, " ");
}

int
cmd_detect_image(Cli *cli, const char *name, Error *err)
{
    Arena *arena = cli->arena;
    ImageOptions options = {.wait = &cli->wait, .environ_ = cli->environ_, .name = name};
    ImageLook look = {.dir = setting_text(&cli->settings, SET_DIR),
                      .format = setting_text(&cli->settings, SET_FORMAT),
                      .tool = setting_text(&cli->settings, SET_TOOL),
                      .command = setting_list(&cli->settings, SET_COMMAND),
                      .mode = setting_text(&cli->settings, SET_ENVIRONMENT),
                      .environ_ = cli->environ_};
    Image image;
    ImageMigrations found;
    if (!cli_open_signals(cli, err) || !image_read(arena, &options, &image, err) ||
        !image_look(arena, &image, &look, &found, err))
        return error_exit_status(err);
    if (cli_option(cli, "json"))
        return output_json(arena, json_found(arena, &image, &found), err) ? 0 : 1;
    StrBuf out = strbuf_new(arena, OUTPUT_CEILING);
    print_found(arena, &image, &found, &out);
    return output_write(strbuf_str(&out), err) ? 0 : 1;
}
