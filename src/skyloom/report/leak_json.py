"""What the leakage page reads of `leak.json`, as types: one object of the file each. Figures that were not finite are None."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from skyloom.core.json_files import Figure


class PageTexts(TypedDict):
    """A sentence in both languages."""

    en: str
    zh: str


class PageLeftOut(TypedDict):
    """An item that was not used, and why."""

    id: str
    reason: str


class PageSet(TypedDict):
    """A set of items as its file has it and as it was used."""

    name: str
    path: str
    sha256: str
    items: int
    used: int
    left_out: list[PageLeftOut]
    langs: dict[str, int]
    tokens: int
    bytes: int


class PageRange(TypedDict):
    """An AUC with the ends of its interval."""

    auc: Figure
    low: Figure
    high: Figure


class PageBlind(TypedDict):
    """How well words, and length, tell a set from the benchmark."""

    set: str
    words: PageRange
    length: PageRange
    n: int
    vetoes: bool


class PagePower(TypedDict):
    """Known power at so many items: the share of leaked items that is seen four times in five."""

    items: int
    share_seen: Figure
    measured: NotRequired[list[object]]
    source: str
    source_zh: NotRequired[str]


class PageDetector(TypedDict):
    """A detector's outcome; `counts` was fixed before the model was read."""

    name: str
    set: str
    value: Figure
    low: Figure
    high: Figure
    unit: str
    p: Figure
    adjusted: Figure
    counts: bool
    flagged: bool
    why: str
    why_zh: NotRequired[str]
    needs: str
    needs_zh: NotRequired[str]
    tokens: int
    power: PagePower


class PageMember(TypedDict):
    """A reference model of the family."""

    model: str
    lineage: str
    released: str
    ability: Figure
    gap: Figure


class PageSuspect(TypedDict):
    """The model among its family."""

    ability: Figure
    gap: Figure


class PageFamily(TypedDict):
    """The regression of the gap on ability, and the suspect's residual with its interval."""

    models: list[PageMember]
    suspect: PageSuspect
    slope: Figure
    intercept: Figure
    residual: Figure
    low: Figure
    high: Figure
    p: Figure
    inside: bool
    why: str


class PageEasy(TypedDict):
    """An item that reads easy; `text` only where the file holds it."""

    id: str
    lang: str
    bits_per_byte: Figure
    family_bits_per_byte: Figure
    difference: Figure
    text: str | None


class PageGap(TypedDict):
    """The gap that decides."""

    detector: str
    value: Figure
    low: Figure
    high: Figure


class PageVerdict(TypedDict):
    """The verdict, with what it rests on."""

    word: str
    sentence: PageTexts
    reasons: list[PageTexts]
    gap: PageGap | None
    share_seen: Figure


class PageDeclared(TypedDict):
    """What the user declared: the set that is exchangeable with the benchmark by construction, or None."""

    exchangeable: str | None
    sentence: str


class PageModel(TypedDict):
    """The model (other keys of its description are not shown)."""

    model: str


class PageLeak(TypedDict):
    """`leak.json`, format 1."""

    format: int
    command: str
    versions: dict[str, str]
    date: str | None
    model: PageModel
    sets: dict[str, PageSet | None]
    declared: PageDeclared
    blind: list[PageBlind]
    detectors: list[PageDetector]
    family: PageFamily | None
    easiest: list[PageEasy]
    verdict: PageVerdict
    assumptions: list[PageTexts]
    would_change: list[PageTexts]
