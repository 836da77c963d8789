"""Settings of a release. They have their own module so that reading a recipe does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ReleaseConfig:
    """How the release is called, by whom it is, and in what form its files are."""

    name: str = setting("skyloom-demo", doc="name of the model in its card")
    license: str = setting("Apache-2.0", doc="SPDX identifier of the weights' licence; documents keep their own")
    authors: tuple[str, ...] = setting((), doc="who made it, as the cards name them")
    contact: str = setting("", doc="where questions and takedown requests go: an address or a URL")
    languages: tuple[str, ...] = setting(("en", "zh"), doc="languages of the model, as ISO 639 codes")
    dtype: str = setting("float32", doc="of the published weights", choices=("float32", "bfloat16"))
    shard_megabytes: float = setting(64.0, doc="JSON in one shard of the corpus, before compression", unit="MB", low=0.001)
