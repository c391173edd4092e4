# SPDX-License-Identifier: Apache-2.0
"""Image archives made by hand, well and badly: `docker save`'s form and the OCI layout."""

import gzip
import hashlib
import io
import json
import tarfile


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tar(*entries, form=tarfile.PAX_FORMAT):
    """Entries are (name, content), (name, content, mode) or a TarInfo, or (TarInfo, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for each in entries:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each)
                continue
            name, content, *mode = each
            data = content.encode() if isinstance(content, str) else content
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if entry.name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            entry.size = len(data)
            if mode:
                entry.mode = mode[0]
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def special(name, kind, link="", **more):
    """A link, a device, a pipe: what holds no bytes."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    for key, value in more.items():
        setattr(entry, key, value)
    return entry


def symlink(name, target):
    return special(name, tarfile.SYMTYPE, target)


def hardlink(name, target):
    return special(name, tarfile.LNKTYPE, target)


def config_of(layers, config):
    unpacked = [gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one for one in layers]
    whole = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(one)}" for one in unpacked]},
    }
    return json.dumps(whole).encode()


def saved(layers, config=None, tags=("app:1",), last=False):
    """As `docker save` writes it; with `last` the list stands behind what it lists."""
    data = config_of(layers, config or {})
    names = [f"{i:064x}/layer.tar" for i in range(len(layers))]
    name = f"{sha256(data)}.json"
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": names}]
    head = [("manifest.json", json.dumps(manifest)), (name, data)]
    body = list(zip(names, layers))
    return tar(*(body + head if last else head + body))


def layout(layers, config=None, nested=False, media="tar"):
    """As an OCI layout has it; `nested`: an index of two platforms, and an attestation, between."""
    blobs = {}

    def blob(data, kind):
        blobs[f"blobs/sha256/{sha256(data)}"] = data
        return {"mediaType": kind, "digest": f"sha256:{sha256(data)}", "size": len(data)}

    base = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "config": blob(config_of(layers, config or {}), f"{base}.config.v1+json"),
        "layers": [blob(one, f"{base}.layer.v1.{media}") for one in layers],
    }
    entry = blob(json.dumps(manifest).encode(), f"{base}.manifest.v1+json")
    if nested:
        other = blob(b'{"schemaVersion": 2}', f"{base}.manifest.v1+json")
        platform = {"os": "linux", "architecture": "amd64"}
        index = {
            "schemaVersion": 2,
            "manifests": [
                {**other, "platform": {"os": "unknown", "architecture": "unknown"}},
                {**other, "platform": {"os": "linux", "architecture": "s390x"}},
                {**entry, "platform": platform},
            ],
        }
        entry = blob(json.dumps(index).encode(), f"{base}.index.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "app:oci"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    return tar(
        ("oci-layout", '{"imageLayoutVersion": "1.0.0"}'),
        ("index.json", json.dumps(index)),
        *blobs.items(),
    )
