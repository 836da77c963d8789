"""Licences of Debian packages: what the copyright file says in its own form becomes SPDX, nothing else does."""

from __future__ import annotations

import pytest

from skyloom.corpus.sources.readers.debian_copyright import spdx_of

FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x 示例\n"


@pytest.mark.parametrize(
    ("license", "spdx"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPL-3", "GPL-3.0-only"),
        ("GPL-2.0-or-later", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("GFDL-1.2+", "GFDL-1.2-or-later"),
        ("GFDL-NIV-1.3", "GFDL-1.3-no-invariants-only"),
        ("Expat", "MIT"),
        ("MPL-2.0", "MPL-2.0"),
        ("Apache-2", "Apache-2.0"),
        ("CC-BY-SA-3.0", "CC-BY-SA-3.0"),
        ("CC-BY-NC-ND-4.0", "CC-BY-NC-ND-4.0"),
        ("GPL-2+ or Artistic-2.0", "GPL-2.0-or-later OR Artistic-2.0"),
        ("GPL-2+ or Expat, and BSD-3-clause", "(GPL-2.0-or-later OR MIT) AND BSD-3-Clause"),
        ("public-domain", ""),
        ("GPL-7", ""),
        ("GPL-2+ with OpenSSL exception", ""),
        ("自定许可", ""),
        ("GPL-2+ or other", ""),
    ],
)
def test_short_names_become_spdx_or_nothing(license: str, spdx: str) -> None:
    assert spdx_of(f"{FORMAT}\nFiles: *\nCopyright: 2020 甲\nLicense: {license}\n text of it\n\nFiles: x\nLicense: ISC\n") == spdx


def test_free_text_and_other_paragraphs_say_nothing() -> None:
    assert spdx_of("This package may be copied under the GPL-2+.\nFiles: *\nLicense: GPL-2+\n") == ""
    assert spdx_of(f"{FORMAT}\nFiles: png/*\nLicense: GPL-2+\n") == ""
    assert spdx_of("") == "" and spdx_of(FORMAT) == ""
    assert spdx_of(f"{FORMAT}\nFiles:     *\nLicense:   GPL-2.0+\n") == "GPL-2.0-or-later"
