"""Text columns: charset and language identification, sizes, hashes, slices and n-grams of whole Arrow columns of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.corpus.text import charset, language
    from skyloom.corpus.text.charset import inspect_column
    from skyloom.corpus.text.columns import Texts, byte_sizes, distinct, list_lengths, lists, packed, shape, slices, string_hashes
    from skyloom.corpus.text.compared_text import comparable, comparable_text, plainness, same_points
    from skyloom.corpus.text.invisible import clean
    from skyloom.corpus.text.language import count_scripts
else:
    __getattr__ = lazy(__name__, {
        "": ("charset", "language",),
        "charset": ("inspect_column",),
        "columns": ("Texts", "byte_sizes", "distinct", "list_lengths", "lists", "packed", "shape", "slices", "string_hashes",),
        "compared_text": ("comparable", "comparable_text", "plainness", "same_points",),
        "invisible": ("clean",),
        "language": ("count_scripts",),
    })  # fmt: skip

__all__ = [
    "Texts", "byte_sizes", "charset", "clean", "comparable", "comparable_text", "count_scripts", "distinct", "inspect_column",
    "language", "list_lengths", "lists", "packed", "plainness", "same_points", "shape", "slices", "string_hashes",
]  # fmt: skip
