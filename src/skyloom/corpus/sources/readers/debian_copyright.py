"""The copyright file of a Debian package, and its licence as an SPDX expression where the file is machine-readable (DEP-5).

Input: the text of `/usr/share/doc/<package>/copyright`. Output: an SPDX expression for the paragraph `Files: *`, or "" where
the file is free text or names a licence that SPDX does not list under a name we know. Nothing is guessed from wording.
"""

from __future__ import annotations

import re

_KNOWN = {
    "expat": "MIT", "mit": "MIT", "isc": "ISC", "zlib": "Zlib", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause", "cc0": "CC0-1.0", "cc0-1.0": "CC0-1.0", "python-2.0": "Python-2.0", "openssl": "OpenSSL",
    "w3c": "W3C", "unlicense": "Unlicense", "wtfpl": "WTFPL", "wtfpl-2": "WTFPL", "bsl-1.0": "BSL-1.0", "0bsd": "0BSD",
}  # fmt: skip
_VERSIONED = {"apache": "Apache", "mpl": "MPL", "artistic": "Artistic", "epl": "EPL", "cddl": "CDDL", "lppl": "LPPL", "ofl": "OFL",
              "zpl": "ZPL", "eupl": "EUPL"}  # fmt: skip
_GNU = {"gpl": "GPL", "lgpl": "LGPL", "agpl": "AGPL", "gfdl": "GFDL"}
_GNU_VERSIONS = {"GPL": ("1.0", "2.0", "3.0"), "LGPL": ("2.0", "2.1", "3.0"), "AGPL": ("1.0", "3.0"), "GFDL": ("1.1", "1.2", "1.3")}
_CREATIVE = re.compile(r"cc-by((?:-nc)?(?:-sa|-nd)?)-(\d\.\d)")
_NAME = re.compile(r"(gpl|lgpl|agpl|gfdl(?:-niv)?)-(\d(?:\.\d)?)(\+?)")
_FORMAT = re.compile(r"^Format(-Specification)?:.*(copyright-format|dep-?5|dep5)", re.IGNORECASE | re.MULTILINE)


def spdx_of(text: str) -> str:
    """The SPDX expression of a package's own files, or ""."""
    if not _FORMAT.search(text[:2000]):
        return ""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
        if fields.get("Files", "").strip() == "*" and fields.get("License", "").strip():
            return _expression(fields["License"].strip())
    return ""


def _expression(text: str) -> str:
    """DEP-5 joins short names by `and`, `or` and commas; a comma binds least, which SPDX says with brackets."""
    groups = []
    for group in re.split(r",\s*(?:and|or)?\s*", text) if "," in text else [text]:
        words = re.split(r"\s+(and|or)\s+", group)
        names = [_name(word) for word in words[::2]]
        if not all(names):
            return ""
        joined = " ".join(n if place % 2 == 0 else n.upper() for place, n in enumerate(_woven(names, words[1::2])))
        groups.append(f"({joined})" if "," in text and len(names) > 1 else joined)
    glue = " OR " if re.search(r",\s*or\b", text) else " AND "
    return glue.join(groups)


def _woven(names: list[str], glue: list[str]) -> list[str]:
    return [part for pair in zip(names, [*glue, ""], strict=True) for part in pair if part]


def _name(short: str) -> str:
    """One DEP-5 short name as SPDX, "" if it is not known."""
    name = short.strip().lower().removesuffix("-only").replace("-or-later", "+")
    if name in _KNOWN:
        return _KNOWN[name]
    if found := _CREATIVE.fullmatch(name):
        return f"CC-BY{found[1].upper()}-{found[2]}"
    if found := _NAME.fullmatch(name):
        family, _, invariants = found[1].partition("-")
        gnu, version = _GNU[family], found[2] if "." in found[2] else f"{found[2]}.0"
        if version not in _GNU_VERSIONS[gnu]:
            return ""
        middle = "-no-invariants" if invariants else ""
        return f"{gnu}-{version}{middle}-{'or-later' if found[3] else 'only'}"
    family, _, version = name.rpartition("-")
    if family in _VERSIONED and re.fullmatch(r"\d(\.\d[a-z]?)?", version):
        return f"{_VERSIONED[family]}-{version if '.' in version else version + '.0'}"
    return ""
