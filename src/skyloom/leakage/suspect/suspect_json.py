"""Types of `leak.json`, which `skyloom leak model` writes and the report page reads. Figures that are not finite are None."""

from __future__ import annotations

from typing import TypedDict

from skyloom.evaluate.opened import Described


class Said(TypedDict):
    """A sentence in English and Chinese."""

    en: str
    zh: str


class LeftOut(TypedDict):
    """An item that was not scored."""

    id: str
    reason: str


class LeakSetRow(TypedDict):
    """A set. `items`: in the file; `used`: scored; `tokens` and `bytes`: of those."""

    name: str
    path: str
    sha256: str
    items: int
    used: int
    left_out: list[LeftOut]
    langs: dict[str, int]
    tokens: int
    bytes: int


class AucRow(TypedDict):
    """An area with its 95 % interval."""

    auc: float | None
    low: float | None
    high: float | None


class BlindRow(TypedDict):
    """The blind baseline of the benchmark against a set."""

    set: str
    words: AucRow
    length: AucRow
    n: int
    vetoes: bool


class MeasuredPower(TypedDict):
    """The `share` of `seeds` small models in which a detector was flagged, after each of `items` items was read `copies` times;
    its 95 % interval is Wilson's."""

    copies: int
    items: int
    lang: str
    seeds: int
    share: float
    low: float
    high: float


class PowerRow(TypedDict):
    """What a detector would have seen at so many items, and how that is known: `share_seen` is derived, `measured` was measured."""

    items: int
    share_seen: float | None
    measured: list[MeasuredPower]
    source: str
    source_zh: str


class DetectorRow(TypedDict):
    """What a detector says. `p`: one-sided; `adjusted`: Holm's, over those that count; `why`: why it counts, or does not."""

    name: str
    set: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    p: float | None
    adjusted: float | None
    counts: bool
    flagged: bool
    why: str
    why_zh: str
    needs: str
    needs_zh: str
    tokens: int
    power: PowerRow


class GapRow(TypedDict):
    """The figure that the verdict names."""

    detector: str
    value: float | None
    low: float | None
    high: float | None


class VerdictRow(TypedDict):
    """The verdict: one of the four words, and what it rests on."""

    word: str
    sentence: Said
    reasons: list[Said]
    gap: GapRow | None
    share_seen: float | None


class DeclaredRow(TypedDict):
    """What the user says about the sets, which nothing here can check."""

    exchangeable: str | None
    sentence: str


class EasiestRow(TypedDict):
    """An item that the model finds easy, beside what the family finds."""

    id: str
    lang: str
    bits_per_byte: float
    family_bits_per_byte: float | None
    difference: float | None
    text: str | None


class BudgetRow(TypedDict):
    """What fitted into the time that was given."""

    seconds: float
    tokens_per_s: float
    items: int


class LeakJson(TypedDict):
    """`leak.json`."""

    format: int
    command: str
    versions: dict[str, str]
    date: str | None
    model: Described
    template: str
    sets: dict[str, LeakSetRow | None]
    declared: DeclaredRow
    blind: list[BlindRow]
    detectors: list[DetectorRow]
    family: dict[str, object] | None
    easiest: list[EasiestRow]
    verdict: VerdictRow
    assumptions: list[Said]
    would_change: list[Said]
    budget: BudgetRow | None
