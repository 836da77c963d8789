"""Measurements of published releases."""
