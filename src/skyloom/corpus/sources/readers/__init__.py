"""Readers, one module for each kind of source: files in, rows of the schema PAGE out."""
