"""Types of the JSON files of a run, as docs/design.md describes them ("The JSON files"), and of rows of tables.

What `core.records` is for Parquet shards this is for JSON: a type is one line or one object of a file, which its docstring names.
The cards, the run page, the dashboard and the command line read finished steps through them. Figures that were not finite are
None. Nothing is checked at run time: the files are those of steps whose checksums hold.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from skyloom.core.records import FileEntry

Cell = str | float | None
"""A cell of a table: a short text, a number (also an int or a bool, which a type checker takes for a float), or nothing."""
Row = dict[str, Cell]
Rows = list[Row]
Figure = float | None
"""A number, or None where it was not measured or not finite."""


class SourceEntry(TypedDict):
    """`sources.json` is a list of these."""

    name: str
    kind: str
    origin: str
    pages: int
    bytes: int
    note: str


class MixtureEntry(TypedDict):
    """A row of the training part of the corpus, by language and category; `share` is of units of text."""

    language: str
    category: str
    documents: int
    bytes: int
    units: int
    share: float


class Mixture(TypedDict):
    """`mixture.json`."""

    rows: list[MixtureEntry]
    valid: dict[str, dict[str, int]]


class Excerpt(TypedDict):
    """A document or page in `examples.json`: what was kept has a domain, what was dropped a stage and a reason."""

    id: str
    source: str
    lang: str
    url: str
    text: str
    domain: NotRequired[str]
    stage: NotRequired[str]
    reason: NotRequired[str]


class Excerpts(TypedDict, total=False):
    """`examples.json`."""

    kept: list[Excerpt]
    dropped: list[Excerpt]


class Compression(TypedDict):
    """How well the tokenizer compresses a domain."""

    domain: str
    bytes: int
    tokens: int
    bytes_per_token: float
    units_per_token: float
    fallback_share: float


class Measure(TypedDict):
    """`measure.json`; `least_used` holds (id, piece, count). `kind`: "byte-level", nothing for a SentencePiece model."""

    rows: list[Compression]
    parts: dict[str, int]
    least_used: list[tuple[int, str, int]]
    kind: NotRequired[str]


class PackedDomain(TypedDict):
    """A domain in `tokens.json`: its documents, tokens and shards."""

    documents: int
    tokens: int
    files: list[FileEntry]


class TokensManifest(TypedDict):
    """`tokens.json`: the manifest of packed tokens."""

    vocabulary: int
    bos: int
    eos: int
    dtype: str
    seed: int
    canary_copies: int
    domains: dict[str, PackedDomain]


class StageCalendar(TypedDict, total=False):
    """Steps and tokens of a training stage; the first two count from the beginning of the first stage."""

    first_step: int
    first_tokens: int
    stage: str
    steps: int
    tokens_per_step: int
    tokens: int
    monitored: list[int]
    released: list[int]


class PlanFile(TypedDict, total=False):
    """`plan.json` of a training stage, without its settings."""

    stage: str
    calendar: StageCalendar
    parameters: int
    flops_per_token: float
    flops: float


class MetricsEntry(TypedDict):
    """A line of `metrics.jsonl`, one per update."""

    stage: str
    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: NotRequired[Figure]
    shares: NotRequired[dict[str, float] | None]


class HeldoutEntry(TypedDict):
    """A line of `heldout.jsonl`, one per monitoring point and held-out set."""

    stage: str
    step: int
    tokens: int
    set: str
    loss: float
    bits_per_byte: float
    low: Figure
    high: Figure
    scored_tokens: int
    scored_bytes: int


class SpeedEntry(TypedDict):
    """A line of `telemetry/speed.jsonl`; its stage is added when it is read."""

    stage: str
    step: int
    tokens: NotRequired[int]
    tokens_per_s: NotRequired[Figure]
    tokens_per_s_per_device: NotRequired[Figure]
    data_wait_share: NotRequired[Figure]
    mfu: NotRequired[Figure]
    mfu_causal: NotRequired[Figure]
    peak_flops: NotRequired[Figure]
    memory_bytes: NotRequired[Figure]
    device_memory_bytes: NotRequired[Figure]
    device_reserved_bytes: NotRequired[Figure]
    seconds: NotRequired[Figure]


class AlarmFigures(TypedDict, total=False):
    """The figures that an alarm is about; which ones depends on its kind."""

    points: int
    heldout_change: float
    training_change: float
    heldout: float
    departure: float
    limit: float
    sets: list[str]
    loss: float
    expected: float


class AlarmEntry(TypedDict):
    """A line of `alarms.jsonl`; the set `all` means all sets together."""

    kind: str
    set: str
    stage: str
    step: int
    tokens: int
    figures: AlarmFigures
    sentence: str


class SkipEntry(TypedDict):
    """A line of `skips.jsonl`; the dashboard keeps the number of documents instead of their ids."""

    stage: str
    step: int
    stage_step: int
    reason: str
    loss: Figure
    grad_norm: Figure
    documents: NotRequired[dict[str, list[str]] | int]


class ScoreEntry(TypedDict):
    """A line of `scores.jsonl`: of exercises one per released checkpoint and language, and one for both; of benchmark tasks one
    per released checkpoint, task and metric, without a language and with what follows `chance` (see `journal.Score`)."""

    stage: str
    step: int
    tokens: int
    benchmark: str
    lang: str
    items: int
    accuracy: Figure
    low: Figure
    high: Figure
    chance: Figure
    metric: NotRequired[str]
    filter: NotRequired[str]
    value: NotRequired[Figure]
    bits_per_byte: NotRequired[Figure]
    bits_low: NotRequired[Figure]
    bits_high: NotRequired[Figure]
    shots: NotRequired[int]
    of: NotRequired[int]
    prompts: NotRequired[str]


class ReferenceEntry(TypedDict):
    """`references.json` is a list of these; the last five are None for figures that a file gave."""

    model: str
    set: str
    bits_per_byte: float
    low: Figure
    high: Figure
    documents: int | None
    bytes: int | None
    changed: int | None


class LossEntry(TypedDict):
    """What a model's losses come to on a set, or on average."""

    model: str
    loss: Figure
    perplexity: Figure
    low: Figure
    high: Figure
    reference_loss: Figure
    reference_perplexity: Figure
    bits_per_byte: Figure


class PerplexityEntry(LossEntry):
    """A model's losses on a held-out set. The last two stand in the file of `eval perplexity` only; in that of a run `low` and
    `high` are of the loss."""

    set: str
    documents: int
    tokens: int | None
    bytes: int
    bits_per_byte_low: NotRequired[Figure]
    bits_per_byte_high: NotRequired[Figure]


class AverageEntry(LossEntry):
    """A model's losses, averaged over the sets."""

    sets: int


class PairedEntry(TypedDict):
    """`model` minus `other` on the same documents of a set (None: on average over the sets), with 95 % intervals."""

    model: str
    other: str
    set: str | None
    bits_per_byte: Figure
    bits_per_byte_low: Figure
    bits_per_byte_high: Figure
    reference_loss: Figure
    reference_loss_low: Figure
    reference_loss_high: Figure


class SanityEntry(TypedDict):
    """A check of the evaluation."""

    check: str
    set: str
    ok: bool
    value: Figure
    bound: Figure


class PerplexityTable(TypedDict):
    """`perplexity.json`."""

    reference: str
    rows: list[PerplexityEntry]
    average: list[AverageEntry]
    paired: NotRequired[list[PairedEntry]]
    sanity: list[SanityEntry]


class TextFigures(TypedDict):
    """Of each text of a set: nats, tokens and UTF-8 bytes."""

    nats: list[float]
    tokens: list[int]
    bytes: list[int]


class LossesFile(TypedDict):
    """`losses.json`: `sets` has the SHA-256 of each set's texts, `models` the figures by model and set."""

    sets: dict[str, str]
    models: dict[str, dict[str, TextFigures]]


class ChoiceEntry(TypedDict):
    """A model's accuracy on multiple choice in a language, or in both."""

    model: str
    lang: str
    items: int
    correct: int
    accuracy: Figure
    low: Figure
    high: Figure
    chance: float


class ChoiceTable(TypedDict):
    """`choice.json`."""

    scoring: str
    shots: int
    rows: list[ChoiceEntry]


class SampleEntry(TypedDict):
    """`samples.json` is a list of these."""

    model: str
    lang: str
    prompt: str
    text: str


class LeakageEntry(TypedDict):
    """A model's losses on the splits and their gaps: delta1 = L_test − L_ref, delta2 = L_test − L_train."""

    model: str
    L_train: Figure
    L_test: Figure
    L_ref: Figure
    delta1: Figure
    delta1_low: Figure
    delta1_high: Figure
    delta2: Figure
    delta2_low: Figure
    delta2_high: Figure
    detectable1: Figure
    detectable2: Figure
    n: dict[str, int]
    leaked: bool | None
    overfitted: bool | None
    verdict: str


class Strata(TypedDict):
    """What gaps are taken within: families and languages, languages, or all items; and how many of them."""

    by: str
    count: int


class ControlEntry(TypedDict):
    """A model's losses on the planted exercises and on those of their pool that were held back, which no stage read: each against
    the reference split (`delta1`, the positive control; `heldback_delta1`, the negative one), and against each other (`paired`, in
    pairs of one family and language). Files of earlier versions have `twin_` for `heldback_`."""

    L_canary: Figure
    L_canary_low: Figure
    L_canary_high: Figure
    L_heldback: Figure
    L_heldback_low: Figure
    L_heldback_high: Figure
    L_ref: Figure
    L_ref_low: Figure
    L_ref_high: Figure
    delta1: Figure
    delta1_low: Figure
    delta1_high: Figure
    heldback_delta1: Figure
    heldback_delta1_low: Figure
    heldback_delta1_high: Figure
    paired: Figure
    paired_low: Figure
    paired_high: Figure
    n: dict[str, int]
    strata: Strata
    flagged: bool | None
    heldback_flagged: bool | None
    flagged_paired: bool | None


class LeakageControl(TypedDict, total=False):
    """The positive and the negative control of the audit; a verdict is None where it could not be judged.

    The keys that end in `stage1` end in the name of the last released stage before the one that read the canaries.
    """

    models: dict[str, ControlEntry]
    canaries_flagged_in_final: bool | None
    canaries_flagged_in_stage1: bool | None
    heldback_flagged_in_final: bool | None
    heldback_flagged_in_stage1: bool | None
    pairs_flagged_in_final: bool | None
    pairs_flagged_in_stage1: bool | None
    clean_test_flagged_in_final: bool | None
    clean_test_flagged_in_stage1: bool | None
    holds: bool | None


class OverlapEntry(TypedDict):
    """How much of a split stands in the corpus."""

    split: str
    items: int
    whole: int
    share: float


class OverlapTable(TypedDict, total=False):
    """The splits in the corpus, and a sentence on it."""

    rows: list[OverlapEntry]
    documents: int
    words: str


class LeakageReport(TypedDict):
    """`leakage.json`."""

    rows: list[LeakageEntry]
    control: LeakageControl | None
    corpus: OverlapTable | None
    words: dict[str, str]


class StepManifest(TypedDict):
    """`_step.json` of a finished step."""

    name: str
    key: str
    version: int
    identity: str
    needs: list[str]
    files: list[FileEntry]
    telemetry: list[str]
    content: str


class DoneStep(TypedDict):
    """A step as the run page lists it."""

    name: str
    folder: str
    status: str
    seconds: Figure
    bytes: int
    content: str
    machine: NotRequired[MachineFacts | None]


class MachineFacts(TypedDict):
    """The machine of a run, without its name."""

    system: str
    architecture: str
    cores: int
    memory_bytes: int


class PlannedShares(TypedDict):
    """The mixture that a stage was resolved to: its tokens, and at each position (0 to 1 through the stage) the share of each of
    `domains`; shares are linear between positions."""

    tokens: int
    domains: list[str]
    positions: list[float]
    shares: list[list[float]]


class MeasuredEnergy(TypedDict):
    """The energy of the training as counters of the machine gave it; `sources`: which ones ("RAPL, CPU package", "NVML, GPU")."""

    kwh: float
    sources: list[str]


class RemovedEntry(TypedDict):
    """A document that was taken out of a published corpus (`corpus/removed.json`). `bytes`: of its text."""

    id: str
    split: str
    source: str
    lang: str
    domain: str
    bytes: int
    reason: str


class PackageEntry(TypedDict):
    """A row of `licenses/packages.json`: a Debian package; `license` as its documents state it, `file` its copyright file or ""."""

    source: str
    package: str
    version: str
    license: str
    file: str


class InstalledPackage(TypedDict):
    """A package that the program needs, as it was installed. `license`: an SPDX expression, "" if it states none."""

    name: str
    version: str
    license: str


class RunFacts(TypedDict, total=False):
    """What the run page and a release say of the run itself. `recipe`: the resolved recipe as plain tables; `commit`: of the
    program, "" if it is not known; `finished`: when the last stage was trained (UTC); `asked`: what commands call the recipe;
    `planned`: the mixture of each stage; `packages`: all that the program needs; `energy`: absent where it was not measured."""

    name: str
    recipe: PlainTable
    steps: list[DoneStep]
    versions: dict[str, str]
    machine: MachineFacts
    commit: str
    finished: str
    asked: str
    planned: dict[str, PlannedShares]
    packages: list[InstalledPackage]
    energy: MeasuredEnergy


PlainValue = str | int | float | bool | None | list["PlainValue"] | dict[str, "PlainValue"]
"""A value of TOML or JSON."""
PlainTable = dict[str, PlainValue]
