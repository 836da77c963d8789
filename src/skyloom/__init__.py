"""Skyloom: an open laboratory for bilingual (English, Chinese) foundation models."""

__version__ = "0.1.0"
