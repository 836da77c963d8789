"""`sbom.spdx.json` and `CITATION.cff`: with which packages the run was made, and how to cite it.

Input: the packages that the run recorded (`run/run.json`) and what the release says of itself. Output: a bill of materials by
SPDX 2.3 and a citation by the Citation File Format 1.2. Both depend on the release alone, so anybody who has it can write them
again.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from skyloom.release.sentences import HUB, Facts

BILL, CITATION = "sbom.spdx.json", "CITATION.cff"
_NONE = "NOASSERTION"
_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")


def bill(facts: Facts) -> dict[str, Any] | None:
    """The bill of materials; None if the run did not record its packages. `created` is when the run was finished."""
    rows = sorted(facts.run.get("packages") or [], key=lambda row: row["name"].lower())
    if not rows:
        return None
    root = "SPDXRef-release"
    packages = [
        {
            "SPDXID": f"SPDXRef-{_UNFIT.sub('-', row['name'])}",
            "name": row["name"],
            "versionInfo": row["version"],
            "downloadLocation": _NONE,
            "filesAnalyzed": False,
            "licenseConcluded": _NONE,
            "licenseDeclared": row["license"] or _NONE,
            "copyrightText": _NONE,
            "externalRefs": [_purl(row["name"], row["version"])],
        }
        for row in rows
    ]
    own = {
        "SPDXID": root,
        "name": facts.config.name,
        "versionInfo": facts.config.version,
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
    }
    digest = hashlib.sha256(json.dumps([own, packages], sort_keys=True).encode()).hexdigest()[:32]
    name = _UNFIT.sub("-", f"{facts.config.name}-{facts.config.version}").strip("-")
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{digest}",
        "creationInfo": {"created": _moment(str(facts.run.get("finished") or "")), "creators": ["Tool: skyloom"]},
        "packages": [own, *packages],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": root},
            *(
                {"spdxElementId": root, "relationshipType": "DEPENDS_ON", "relatedSpdxElement": package["SPDXID"]}
                for package in packages
            ),
        ],
    }


def citation_file(facts: Facts) -> dict[str, Any] | None:
    """The citation as a table for YAML; None if no author is named, since the format asks for one."""
    config = facts.config
    if not config.authors:
        return None
    found = {
        "cff-version": "1.2.0",
        "message": "Please cite this model and its corpus as follows. 请按如下方式引用此模型及其语料。",
        "type": "dataset",
        "title": config.name,
        "version": config.version,
        "authors": [{"name": name} for name in config.authors],
        "license": config.license,
        "date-released": str(facts.run.get("finished") or "")[:10],
        "url": config.url or (f"{HUB}/{config.repository}" if config.repository else ""),
    }
    return {key: value for key, value in found.items() if value}


def _purl(name: str, version: str) -> dict[str, str]:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": f"pkg:pypi/{normal}@{version}"}


def _moment(finished: str) -> str:
    """A time as SPDX has it, in UTC to the second; the beginning of time where it was not recorded."""
    match = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", finished)
    return f"{match[1]}T{match[2]}Z" if match else "1970-01-01T00:00:00Z"
