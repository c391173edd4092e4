# SPDX-License-Identifier: Apache-2.0
"""lockstep.spdx.json: what is linked, with versions, licences, and the files it was built from."""

import datetime
import json
import subprocess
import urllib.parse
import uuid

import fetch

# Copies that a library brings along: (library, name, version, licence).
WITHIN = [
    ("libpg_query", "PostgreSQL parser", "17.4", "PostgreSQL"),
    ("libpg_query", "protobuf-c", "1.4.0", "BSD-2-Clause"),
    ("libpg_query", "xxHash", "0.8.0", "BSD-2-Clause"),
]


def identifier(name):
    return "SPDXRef-" + "".join(c if c.isalnum() else "-" for c in name)


def package(name, version, licence, **more):
    return {
        "SPDXID": identifier(name),
        "name": name,
        "versionInfo": version,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        **more,
    }


def checksum(sha256):
    return [{"algorithm": "SHA256", "checksumValue": sha256}]


def source_package(tarball):
    """The Debian source package as scanners of vulnerabilities know it."""
    version = urllib.parse.quote(tarball.package_version, safe=":~")
    return [
        {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{tarball.package}@{version}?arch=source",
        }
    ]


def of_library(library):
    """The library, with the file that it was built from; its patches stand in the sentence."""
    tarball = library.files[0]
    words = [f"Debian source package {tarball.package} {tarball.package_version}: {tarball.name}"]
    words += [
        f"with the patches of {file.name} (sha256 {file.sha256})" for file in library.files[1:]
    ]
    return package(
        library.name,
        library.version,
        library.licence,
        supplier="Organization: Debian",
        packageFileName=tarball.name,
        checksums=checksum(tarball.sha256),
        externalRefs=source_package(tarball),
        sourceInfo=", ".join(words),
    )


def gcc_version(build):
    return subprocess.run(
        [f"{build.arch.tools}gcc", "-dumpfullversion"], check=True, capture_output=True, text=True
    ).stdout.strip()


def document(binary, version, build, libraries, epoch):
    digest = fetch.sha256(binary)
    main = package(
        "lockstep",
        version,
        "Apache-2.0",
        supplier="Organization: The lockstep authors",
        packageFileName="lockstep",
        checksums=checksum(digest),
        primaryPackagePurpose="APPLICATION",
    )
    packages = [main] + [of_library(library) for library in libraries]
    packages.append(
        package(
            "libgcc",
            gcc_version(build),
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            sourceInfo="of the compiler that built it",
        )
    )
    related = [("SPDXRef-DOCUMENT", "DESCRIBES", main["SPDXID"])]
    related += [(main["SPDXID"], "STATIC_LINK", each["SPDXID"]) for each in packages[1:]]
    for library, name, its_version, licence in WITHIN:
        packages.append(package(name, its_version, licence, sourceInfo=f"a copy within {library}"))
        related.append((identifier(library), "CONTAINS", identifier(name)))
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"lockstep-{version}-{build.arch.name}",
        "documentNamespace": "",
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: lockstep-release-{version}"],
        },
        "packages": packages,
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in related
        ],
    }


def write(path, binary, version, build, libraries, epoch):
    made = document(binary, version, build, libraries, epoch)
    # Another document has another name; the same one, made anywhere, has the same.
    made["documentNamespace"] = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(made)).urn
    path.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
