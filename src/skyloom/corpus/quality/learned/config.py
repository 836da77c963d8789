"""Settings of the learned quality judges: n-gram language models, the linear classifier, and the quality groups."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError

HIGH, MIDDLE, LOW = "high", "middle", "low"

GROUPS = (HIGH, MIDDLE, LOW)


@dataclass(frozen=True)
class GroupConfig:
    """Thresholds of the grades, and which groups stay."""

    head: float = setting(1 / 3, doc="share of a language's documents with the lowest perplexity that are head", low=0.0, high=1.0)
    tail: float = setting(1 / 3, doc="share of a language's documents with the highest perplexity that are tail", low=0.0, high=1.0)
    reference: float = setting(0.5, doc="probability from which a document is like reference text", low=0.0, high=1.0)
    unlike: float = setting(0.1, doc="probability below which a document is unlike reference text", low=0.0, high=1.0)
    keep: tuple[str, ...] = setting(("high",), doc="groups that stay in the corpus", choices=GROUPS)


@dataclass(frozen=True)
class ClassifierConfig:
    """How the linear judge is trained."""

    bits: int = setting(20, doc="log2 of the number of weights", low=8, high=26)
    epochs: int = setting(2, doc="passes over the training texts", low=1)
    rate: float = setting(0.05, doc="AdaGrad's step", low=1e-4)
    seed: int = setting(1, doc="order of the training texts", low=0)
    minimum_texts: int = setting(50, doc="fewest reference texts of a language to judge it", unit="texts", low=2)


@dataclass(frozen=True)
class LmConfig:
    """How the language models of quality are trained."""

    order: int = setting(5, doc="longest n-gram", unit="tokens", low=1, high=6)
    prune: tuple[int, ...] = setting(
        (0, 0, 1, 1, 1), doc="n-grams seen at most so often are left out, by order; the last value holds for the rest", low=0
    )
    train_mb: int = setting(32, doc="most text to train a language's model on", unit="MB", low=1, high=2000)
    trainer: str = setting("auto", doc="`auto` takes lmplz where it is installed", choices=("auto", "lmplz", "ours"))

    def __post_init__(self) -> None:
        if not self.prune or list(self.prune) != sorted(self.prune) or self.prune[0] != 0:
            raise ConfigError("lm.prune must begin with 0 and never fall, for example [0, 0, 1]")

    @property
    def thresholds(self) -> tuple[int, ...]:
        """`prune` for each order."""
        return (self.prune + self.prune[-1:] * self.order)[: self.order]


@dataclass(frozen=True)
class JudgesConfig:
    """The learned judges. Without `reference` and `cited_by` there is none."""

    reference: tuple[str, ...] = setting((), doc="sources of the recipe whose documents are reference text")
    cited_by: tuple[str, ...] = setting((), doc="MediaWiki dumps; documents whose URLs they cite are reference text")
    lm_en: str = setting("", doc="an English model to use instead of training one: ARPA, also gzipped, or a binary file of kenlm's")
    lm_zh: str = setting("", doc="the same for Chinese")
    lm: LmConfig = setting(factory=LmConfig, doc="language models")
    classifier: ClassifierConfig = setting(factory=ClassifierConfig, doc="the linear judge")
    groups: GroupConfig = setting(factory=GroupConfig, doc="thresholds and groups")

    @property
    def wanted(self) -> bool:
        """Whether reference text is named."""
        return bool(self.reference or self.cited_by)
