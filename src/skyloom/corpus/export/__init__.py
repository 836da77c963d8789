"""Export of a corpus: its documents as Parquet, JSON lines or plain text in folders by language and category, with a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.corpus.export.command import BY, FORMATS, ExportConfig, Exported, export_corpus
else:
    __getattr__ = lazy(__name__, {
        "command": ("BY", "FORMATS", "ExportConfig", "Exported", "export_corpus",),
    })  # fmt: skip

__all__ = ["BY", "FORMATS", "ExportConfig", "Exported", "export_corpus"]
