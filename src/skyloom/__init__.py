"""Skyloom: an open laboratory for bilingual (English, Chinese) foundation models.

The public Python library. Its names are imported on first use, so `import skyloom` reads no kernels, no torch and no Arrow.
docs/python.md describes them with examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.library.any_model_scores import load_model, score_texts
    from skyloom.library.checked_release import release_check
    from skyloom.library.compared_documents import decontaminate, near_duplicates
    from skyloom.library.judged_models import audit, evaluate
    from skyloom.library.opened_run import Run
    from skyloom.library.recipes import Recipe
    from skyloom.library.text_judges import identify, quality, redact
    from skyloom.library.vocabulary import Tokenizer
    from skyloom.library.web_pages import extract_html
else:
    __getattr__ = lazy(__name__, {
        "library.any_model_scores": ("load_model", "score_texts",),
        "library.checked_release": ("release_check",),
        "library.compared_documents": ("decontaminate", "near_duplicates",),
        "library.judged_models": ("audit",),
        "library.opened_run": ("Run",),
        "library.recipes": ("Recipe",),
        "library.text_judges": ("identify", "quality", "redact",),
        "library.vocabulary": ("Tokenizer",),
        "library.web_pages": ("extract_html",),
    })  # fmt: skip
    import skyloom.evaluate  # noqa: F401 - the package is the function too, see its docstring

__version__ = "0.1.0"
__all__ = [
    "Recipe", "Run", "Tokenizer", "audit", "decontaminate", "evaluate", "extract_html", "identify", "load_model", "near_duplicates",
    "quality", "redact", "release_check", "score_texts",
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
