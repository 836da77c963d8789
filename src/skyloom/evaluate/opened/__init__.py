"""Models of any kind, opened for evaluation: ours, Hugging Face folders and names, GGUF files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.evaluate.opened.any_model import Described, OpeningOptions, OpenModel, open_model, open_words
    from skyloom.evaluate.opened.model_words import HubWords, OwnWords, Words, begin_of, changed, columns
    from skyloom.evaluate.opened.places import ModelPlace, locate, tokenizer_beside
    from skyloom.evaluate.opened.transformers_network import SharedPrefixes, WholeSequences, cached_network
else:
    __getattr__ = lazy(__name__, {
        "any_model": ("Described", "OpenModel", "OpeningOptions", "open_model", "open_words",),
        "places": ("ModelPlace", "locate", "tokenizer_beside",),
        "transformers_network": ("SharedPrefixes", "WholeSequences", "cached_network",),
        "model_words": ("HubWords", "OwnWords", "Words", "begin_of", "changed", "columns",),
    })  # fmt: skip

__all__ = [
    "Described",
    "HubWords",
    "ModelPlace",
    "OpenModel",
    "OpeningOptions",
    "OwnWords",
    "SharedPrefixes",
    "WholeSequences",
    "Words",
    "begin_of",
    "cached_network",
    "changed",
    "columns",
    "locate",
    "open_model",
    "open_words",
    "tokenizer_beside",
]  # fmt: skip
