"""Benchmarks of the pages."""
