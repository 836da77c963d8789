"""Settings of a release. They have their own module so that reading a recipe does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ReleaseConfig:
    """How the release is called, by whom it is, and in what form its files are."""

    name: str = setting("skyloom-demo", doc="name of the model in its card")
    version: str = setting("1.0.0", doc="version of the release, for its card and its citation")
    license: str = setting("Apache-2.0", doc="SPDX identifier of the weights' licence; documents keep their own")
    authors: tuple[str, ...] = setting((), doc="who made it, as the cards name them")
    contact: str = setting("", doc="where questions and takedown requests go: an address or a URL")
    url: str = setting("", doc="where the release will be found, for its citation")
    repository: str = setting("", doc="repository of the model on a hub, OWNER/NAME, for its cards; `release push` fills it in")
    corpus_repository: str = setting("", doc="repository of the corpus on a hub, for its cards; `release push` fills it in")
    languages: tuple[str, ...] = setting(
        ("en", "zh"), doc="languages of the model, as ISO 639 codes; those without text are left out"
    )
    hardware: str = setting("", doc="what trained it, in words; empty: what the machine says of itself")
    watts: float = setting(
        0.0, doc="power of that hardware while it trained, as measured or known; 0: not known", unit="W", low=0.0
    )
    grams_co2_per_kwh: float = setting(
        0.0, doc="CO₂ of the electricity where it trained, as known; 0: not known", unit="g/kWh", low=0.0
    )
    allow_unknown_license: bool = setting(False, doc="publish documents whose source states no licence")
    dtype: str = setting("float32", doc="of the published weights", choices=("float32", "bfloat16"))
    shard_megabytes: float = setting(64.0, doc="JSON in one shard of the corpus, before compression", unit="MB", low=0.001)
