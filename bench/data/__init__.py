"""Benchmarks of the data loader."""
