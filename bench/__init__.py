"""Benchmarks: each script measures bars of `bars.toml`, beside a named peer where there is one.

Run one as `python -m bench.corpus.dedup` in the project's root.
"""
