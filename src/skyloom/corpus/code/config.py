"""Settings of the code filter (the heuristics of RedPajama, report 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class CodeConfig:
    """Which files of code stay."""

    longest_line: int = setting(1000, doc="longest line that a file may have", unit="characters", low=1)
    mean_line: float = setting(100.0, doc="highest mean length of the lines that are not blank", unit="characters", low=1.0)
    alphanumeric: float = setting(
        0.25, doc="lowest share of letters and digits among the characters that are not white space", low=0.0, high=1.0
    )
    letters: float = setting(
        0.4, doc="lowest share of words, not numbers, among letters and digits (the 1f of 0x1f is a number's)", low=0.0, high=1.0
    )
    encoded: float = setting(0.3, doc="highest share of bytes in unbroken runs of encoded data", low=0.0, high=1.0)
    generated: bool = setting(False, doc="keep files that say, or whose names say, that a program wrote them")
    data_share: float = setting(
        0.05, doc="bytes kept of each of JSON, XML, YAML and HTML, as a share of the programs' bytes", low=0.0, high=1.0
    )
