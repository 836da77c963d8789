"""Benchmarks of the corpus stages."""
