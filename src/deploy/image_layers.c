/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image in a file: what `docker save` writes (manifest.json), and the OCI layout (index.json).
 * The file is read twice, as the lists may stand behind what they list: once for the lists and
 * configurations, once for the layers, which are then put on top of each other in their order.
 * A layer is what its digest says, or the archive is damaged.
 */

#include <string.h>
#include <sys/utsname.h>

#include "core/clock.h"
#include "core/hash.h"
#include "deploy/image_internal.h"
#include "core/banned.h"

enum { LAYERS_MAX = 512, LINKS_MAX = 8, JSON_KEPT_MAX = 32 << 20 };

typedef struct Member {
    Str name, link, text; /* text: of a small file that may be JSON, else absent */
} Member;

typedef struct LayerFile {
    Entry entry; /* copies */
    Str text;
} LayerFile;

typedef struct Layer {
    Str name;   /* in the archive, links followed */
    Str digest; /* 64 hex digits of the bytes as they stand there; absent = not known */
    Str diff;   /* of the unpacked tar */
    bool read;
    VEC(LayerFile) files;
} Layer;

typedef struct Saved {
    Arena *arena;
    const char *name;
    ReadLimits around, limits; /* of the file, of the layers in it */
    Image *image;
    Keeping keeping;
    VEC(Member) members;
    VEC(Layer) layers;
    size_t json_kept;
} Saved;

/* ---- names in the archive ---- */

static Str
plain_name(Str name)
{
    while (str_starts(name, STR("./")))
        name = str_sub(name, 2, name.n);
    return name;
}

static const Member *
find_member(const Saved *s, Str name)
{
    for (size_t i = s->members.n; i-- > 0;) /* of two, the last counts */
        if (str_eq(s->members.p[i].name, name))
            return &s->members.p[i];
    return NULL;
}

/* "a/layer.tar" and "../b/layer.tar" make "b/layer.tar": older engines write a layer once and link
 * to it. */
static Str
linked_name(Arena *arena, Str name, Str link)
{
    size_t end = name.n;
    if (str_starts(link, STR("/")))
        return str_sub(link, 1, link.n);
    while (end > 0 && name.p[end - 1] != '/')
        end--;
    Str dir = str_sub(name, 0, end);
    while (str_starts(link, STR("../")) && dir.n) {
        link = str_sub(link, 3, link.n);
        for (end = dir.n - 1; end > 0 && dir.p[end - 1] != '/'; end--)
            ;
        dir = str_sub(dir, 0, end);
    }
    return str_of(str_printf(arena, STR_FMT STR_FMT, STR_ARG(dir), STR_ARG(link)));
}

static const Member *
resolve(const Saved *s, Str name)
{
    const Member *m = find_member(s, plain_name(name));
    for (int i = 0; m && m->link.p && i < LINKS_MAX; i++)
        m = find_member(s, linked_name(s->arena, m->name, m->link));
    return m && !m->link.p ? m : NULL;
}

static bool
is_hex64(Str s)
{
    if (s.n != 64)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

/* The digest in "sha256:HEX", "blobs/sha256/HEX", "HEX.json"; absent = there is none. */
static Str
digest_in(Str name)
{
    size_t at = name.n;
    while (at > 0 && name.p[at - 1] != '/' && name.p[at - 1] != ':')
        at--;
    Str last = str_sub(name, at, name.n);
    if (str_ends(last, STR(".json")))
        last.n -= 5;
    return is_hex64(last) ? last : STR_ABSENT;
}

/* ---- first reading: lists and configurations ---- */

static bool
keep_json(Saved *s, Tar *tar, const Entry *e, Member *member, Error *err)
{
    SCRATCH_ARENA(scratch);
    Str text;
    bool named = str_ends(member->name, STR(".json")) || str_starts(member->name, STR("blobs/"));
    if (e->kind != ENTRY_FILE || !named || e->size <= 0 || e->size > IMAGE_JSON_MAX)
        return true;
    if (!tar_read(tar, scratch, (size_t)e->size, &text, err))
        return false;
    Str trimmed = str_trim(text);
    if (!trimmed.n || (trimmed.p[0] != '{' && trimmed.p[0] != '['))
        return true;
    s->json_kept += text.n;
    if (s->json_kept > JSON_KEPT_MAX)
        return error_set(err, ERROR_USAGE, "'%s' holds more than %d MiB of manifests", s->name,
                         JSON_KEPT_MAX >> 20);
    member->text = str_copy(s->arena, text);
    return true;
}

/* The file from its start. */
static bool
open_file(Saved *s, Bytes file, Tar **ret, Error *err)
{
    s->around.bytes = 0;
    s->around.entries = 0;
    return bytes_rewind(&file, err) && tar_open(s->arena, s->name, file, &s->around, ret, err);
}

static bool
read_lists(Saved *s, Bytes file, Error *err)
{
    AUTO_TAR *tar = NULL;
    bool there;
    Entry e;
    if (!open_file(s, file, &tar, err))
        return false;
    for (;;) {
        if (!tar_next(tar, &there, &e, err))
            return false;
        if (!there)
            return true;
        Member m = {.name = str_copy(s->arena, plain_name(e.path))};
        if (e.kind == ENTRY_LINK)
            m.link = str_copy(s->arena, e.link);
        else if (e.kind == ENTRY_SAME) /* named from the top */
            m.link = str_of(str_printf(s->arena, "/" STR_FMT, STR_ARG(plain_name(e.link))));
        if (!keep_json(s, tar, &e, &m, err))
            return false;
        *vec_push(s->arena, &s->members) = m;
    }
}

/* A JSON member that must be there, and be what its name's digest says. */
static bool
load(const Saved *s, Str name, json_t **ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    const Member *m = resolve(s, name);
    char *what = str_printf(scratch, "'" STR_FMT "' in '%s'", STR_ARG(name), s->name);
    if (!m || !m->text.p)
        return error_set(err, ERROR_USAGE, "%s is not there, or is no JSON", what);
    Str digest = digest_in(name);
    if (digest.p && !str_eq(digest, str_of(hash_hex(scratch, HASH_SHA256, m->text))))
        return error_set(err, ERROR_USAGE, "%s is damaged: its digest is another", what);
    return image_parse(what, m->text, ret, err);
}

static bool
add_layer(Saved *s, Str name, Str diff, Error *err)
{
    const Member *m = resolve(s, name);
    if (!m)
        return error_set(err, ERROR_USAGE, "the layer '" STR_FMT "' is not in '%s'", STR_ARG(name),
                         s->name);
    if (s->layers.n == LAYERS_MAX)
        return error_set(err, ERROR_USAGE, "'%s' has more than %d layers", s->name, LAYERS_MAX);
    Str digest = str_starts(name, STR("blobs/")) ? digest_in(name) : STR_ABSENT;
    *vec_push(s->arena, &s->layers) = (Layer){
        .name = m->name, .digest = str_copy(s->arena, digest), .diff = str_copy(s->arena, diff)};
    return true;
}

static bool
take_config(Saved *s, Str name, Words *ret_diffs, Error *err)
{
    IMAGE_JSON *config = NULL;
    if (!load(s, name, &config, err))
        return false;
    if (!json_is_object(config))
        return error_set(err, ERROR_USAGE, "the configuration in '%s' is no JSON object", s->name);
    const Member *m = resolve(s, name);
    s->image->id = str_printf(s->arena, "sha256:%s", hash_hex(s->arena, HASH_SHA256, m->text));
    s->image->os = image_json_text(s->arena, config, "os");
    s->image->architecture = image_json_text(s->arena, config, "architecture");
    image_take_config(s->arena, json_object_get(config, "config"), s->image);
    image_json_words(s->arena, json_object_get(json_object_get(config, "rootfs"), "diff_ids"),
                     ret_diffs);
    return true;
}

static Str
diff_of(const Words *diffs, size_t i)
{
    return i < diffs->n ? digest_in(str_of(diffs->p[i])) : STR_ABSENT;
}

/* `docker save`: [{"Config": "x.json", "RepoTags": [...], "Layers": [...]}] */
static bool
take_manifest(Saved *s, Error *err)
{
    IMAGE_JSON *list = NULL;
    Words diffs = {0}, layers = {0};
    if (!load(s, STR("manifest.json"), &list, err))
        return false;
    if (json_array_size(list) != 1) {
        error_set(err, ERROR_USAGE, "'%s' holds %zu images", s->name, json_array_size(list));
        return error_hint(err, "Save one image into it.");
    }
    const json_t *one = json_array_get(list, 0);
    Str config = str_of(json_string_value(json_object_get(one, "Config")));
    image_json_words(s->arena, json_object_get(one, "RepoTags"), &s->image->tags);
    image_json_words(s->arena, json_object_get(one, "Layers"), &layers);
    if (!config.p)
        return error_set(err, ERROR_USAGE, "manifest.json in '%s' names no configuration", s->name);
    if (!take_config(s, config, &diffs, err))
        return false;
    for (size_t i = 0; i < layers.n; i++)
        if (!add_layer(s, str_of(layers.p[i]), diff_of(&diffs, i), err))
            return false;
    return true;
}

/* The archive's member of a descriptor; absent = it has no SHA-256. */
static Str
blob_of(Arena *arena, const json_t *descriptor)
{
    Str digest = str_of(json_string_value(json_object_get(descriptor, "digest")));
    Str hex = digest_in(digest);
    if (!hex.p || !str_starts(digest, STR("sha256:")))
        return STR_ABSENT;
    return str_of(str_printf(arena, "blobs/sha256/" STR_FMT, STR_ARG(hex)));
}

static const char *
own_architecture(void)
{
    static struct utsname name;
    if (uname(&name) != 0)
        return "amd64";
    return strcmp(name.machine, "x86_64") == 0    ? "amd64"
           : strcmp(name.machine, "aarch64") == 0 ? "arm64"
                                                  : name.machine;
}

/* Of the images of an index the one for this machine, else the first; attestations are none. */
static const json_t *
choose_manifest(const json_t *index)
{
    const json_t *list = json_object_get(index, "manifests"), *first = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *platform = json_object_get(one, "platform");
        const char *arch = json_string_value(json_object_get(platform, "architecture"));
        if (arch && strcmp(arch, "unknown") == 0)
            continue;
        if (arch && strcmp(arch, own_architecture()) == 0)
            return one;
        first = first ? first : one;
    }
    return first;
}

static bool
no_manifest(const Saved *s, Error *err)
{
    return error_set(err, ERROR_USAGE, "the index in '%s' names no image", s->name);
}

static bool
take_oci_manifest(Saved *s, const json_t *manifest, Error *err)
{
    Words diffs = {0};
    const json_t *layers = json_object_get(manifest, "layers");
    Str config = blob_of(s->arena, json_object_get(manifest, "config"));
    if (!config.p)
        return error_set(err, ERROR_USAGE, "the manifest in '%s' names no configuration", s->name);
    if (!take_config(s, config, &diffs, err))
        return false;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        Str blob = blob_of(s->arena, json_array_get(layers, i));
        if (!blob.p)
            return error_set(err, ERROR_USAGE, "a layer of '%s' has no SHA-256", s->name);
        if (!add_layer(s, blob, STR_ABSENT, err))
            return false;
    }
    return true;
}

/* An index may name indexes, one for each platform. */
static bool
take_index(Saved *s, Str name, int depth, Error *err)
{
    IMAGE_JSON *index = NULL;
    if (depth > LINKS_MAX)
        return no_manifest(s, err);
    if (!load(s, name, &index, err))
        return false;
    if (!json_object_get(index, "manifests"))
        return take_oci_manifest(s, index, err);
    const json_t *chosen = choose_manifest(index);
    Str blob = chosen ? blob_of(s->arena, chosen) : STR_ABSENT;
    if (!blob.p)
        return no_manifest(s, err);
    const char *tag = json_string_value(json_object_get(json_object_get(chosen, "annotations"),
                                                        "org.opencontainers.image.ref.name"));
    if (tag && depth == 0)
        *vec_push(s->arena, &s->image->tags) = str_dup(s->arena, str_of(tag));
    if (depth == 0)
        *vec_push(s->arena, &s->image->digests) =
            str_printf(s->arena, "sha256:" STR_FMT, STR_ARG(digest_in(blob)));
    return take_index(s, blob, depth + 1, err);
}

static bool
take_lists(Saved *s, Error *err)
{
    if (find_member(s, STR("manifest.json")))
        return take_manifest(s, err);
    if (find_member(s, STR("index.json")))
        return take_index(s, STR("index.json"), 0, err);
    error_set(err, ERROR_USAGE, "'%s' is no image: it has neither manifest.json nor index.json",
              s->name);
    return error_hint(err, "`docker save IMAGE -o FILE` writes an image that can be read here.");
}

/* ---- second reading: layers ---- */

/* What of a layer passes by, and its digest. */
typedef struct Passing {
    Bytes from;
    Hasher *hash;
    bool begun, zipped;
} Passing;

static bool
next_passing(void *ctx, Str *ret, Error *err)
{
    Passing *p = ctx;
    Str piece;
    if (!p->from.next(p->from.ctx, &piece, err))
        return false;
    if (!p->begun)
        p->zipped = str_starts(piece, STR("\x1F\x8B"));
    p->begun = true;
    hasher_add(p->hash, piece);
    *ret = piece;
    return true;
}

/* All of it, though the tar in it may have ended: the digest is of the whole. */
static bool
check_digest(const Saved *s, const Layer *layer, Passing *p, Error *err)
{
    SCRATCH_ARENA(scratch);
    Str piece, wanted = layer->digest.p ? layer->digest : p->zipped ? STR_ABSENT : layer->diff;
    do {
        if (!next_passing(p, &piece, err))
            return false;
    } while (piece.n);
    char *is = hasher_hex(scratch, p->hash);
    if (!wanted.p || str_eq(wanted, str_of(is)))
        return true;
    return error_set(err, ERROR_USAGE,
                     "the layer '" STR_FMT "' in '%s' is damaged: its digest is "
                     "another",
                     STR_ARG(layer->name), s->name);
}

static bool
read_layer(Saved *s, Layer *layer, Tar *outer, Error *err)
{
    SCRATCH_ARENA(scratch);
    AUTO_TAR *tar = NULL;
    Passing passing = {.from = tar_content(outer), .hash = hasher_new(scratch)};
    char *name = str_printf(scratch, "%s: " STR_FMT, s->name, STR_ARG(layer->name));
    bool there;
    Entry e;
    if (!tar_open(scratch, name, (Bytes){.next = next_passing, .ctx = &passing}, &s->limits, &tar,
                  err))
        return false;
    for (;;) {
        Str text;
        if (!tar_next(tar, &there, &e, err))
            return false;
        if (!there)
            break;
        if (!image_take_text(tar, s->arena, &s->keeping, &e, &text, err))
            return false;
        e.path = str_copy(s->arena, e.path);
        if (e.link.p)
            e.link = str_copy(s->arena, e.link);
        *vec_push(s->arena, &layer->files) = (LayerFile){e, text};
    }
    layer->read = true;
    return check_digest(s, layer, &passing, err);
}

static bool
read_layers(Saved *s, Bytes file, Error *err)
{
    AUTO_TAR *tar = NULL;
    bool there;
    Entry e;
    if (!open_file(s, file, &tar, err))
        return false;
    for (;;) {
        if (!tar_next(tar, &there, &e, err))
            return false;
        if (!there)
            return true;
        Str name = plain_name(e.path);
        for (size_t i = 0; i < s->layers.n && e.kind == ENTRY_FILE; i++) {
            Layer *layer = &s->layers.p[i];
            if (layer->read || !str_eq(layer->name, name))
                continue;
            if (e.sparse)
                return error_set(err, ERROR_USAGE, "'%s' holds a layer with holes", s->name);
            if (!read_layer(s, layer, tar, err))
                return false;
            /* The same layer may stand in the list twice; an archive has it once. */
            for (size_t j = i + 1; j < s->layers.n; j++)
                if (str_eq(s->layers.p[j].name, name)) {
                    s->layers.p[j].files.p = layer->files.p;
                    s->layers.p[j].files.n = layer->files.n;
                    s->layers.p[j].read = true;
                }
            break;
        }
    }
}

static bool
put_layer(const Saved *s, const Layer *layer, Error *err)
{
    if (!layer->read)
        return error_set(err, ERROR_USAGE, "the layer '" STR_FMT "' is not in '%s'",
                         STR_ARG(layer->name), s->name);
    for (size_t i = 0; i < layer->files.n; i++)
        tree_whiteout(s->image->files, layer->files.p[i].entry.path);
    for (size_t i = 0; i < layer->files.n; i++) {
        const LayerFile *f = &layer->files.p[i];
        if (!tree_is_whiteout(f->entry.path) &&
            !tree_add(s->image->files, s->name, &f->entry, f->text, err))
            return false;
    }
    return true;
}

static bool
read_file(Saved *s, Bytes file, Error *err)
{
    if (!read_lists(s, file, err) || !take_lists(s, err) || !read_layers(s, file, err))
        return false;
    for (size_t i = 0; i < s->layers.n; i++)
        if (!put_layer(s, &s->layers.p[i], err))
            return false;
    return true;
}

bool
image_from_archive(Arena *arena, const ImageOptions *options, Image *ret, Error *err)
{
    int64_t timeout = options->timeout_ms ? options->timeout_ms : IMAGE_TIMEOUT_MS;
    Saved s = {.arena = arena,
               .name = options->name,
               .around = {.wait = options->wait, .deadline_ms = clock_ms() + timeout},
               .image = ret,
               .keeping = {.image = ret}};
    Bytes file = {0};
    s.limits = s.around;
    if (!bytes_of_file(arena, options->name, &file, err))
        return false;
    bool ok = read_file(&s, file, err);
    bytes_close_file(&file);
    return ok;
}
