"""Benchmarks of the engine and the plan of a large run."""
