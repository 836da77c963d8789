"""Benchmarks of the tokenizer."""
