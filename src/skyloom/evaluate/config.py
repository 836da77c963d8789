"""Settings of the evaluation. They have their own module so that reading a recipe does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.score.config import SamplingConfig
from skyloom.suites import SCORINGS

UNITS = "units"
"""Losses are normalised by units of text and not by a tokenizer's tokens."""


MEASURED = "float32"
"""Weights and arithmetic of the evaluation and of the leakage audit, as torch names them, whatever training computed in:
checkpoints hold fp32 master weights."""


@dataclass(frozen=True)
class EvaluateConfig:
    """What is measured, how much of it, and how the intervals are made."""

    reference: str = setting(
        UNITS, doc="tokens that all losses are normalised by: 'units' of text, or the path of a SentencePiece model"
    )
    set_bytes: int = setting(40_000, doc="text scored of each held-out set", unit="bytes", low=1)
    document_characters: int = setting(
        2000, doc="documents are cut to so many characters (0: whole; the report: a third of the context)", low=0
    )
    items: int = setting(100, doc="multiple-choice items of each language (0: all)", unit="items", low=0)
    shots: int = setting(1, doc="worked examples before each item", unit="examples", low=0)
    scoring: str = setting("text", doc="what is scored of a choice: its letter or its text", choices=SCORINGS)
    sampling: SamplingConfig = setting(factory=SamplingConfig, doc="how the samples are written")
    resamples: int = setting(1000, doc="bootstrap resamples behind each interval", low=200, high=1_000_000)
    seed: int = setting(1, doc="seed of the resampling", low=0)
    batch_tokens: int = setting(1024, doc="positions scored at once, padding included", unit="tokens", low=1)


@dataclass(frozen=True)
class ReferencesConfig:
    """Other models' losses on our held-out sets, which are drawn as dashed lines beside our curves (report, Fig. 3)."""

    file: str = setting("", doc="TOML or JSON of figures: a model's name, and its bits per byte by held-out set or tag")
    models: Mapping[str, str] = setting(
        factory=dict, doc="name and folder of Hugging Face models, whose bits per byte on the monitor's texts are computed"
    )
