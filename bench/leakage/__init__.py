"""Benches of the leakage audit of any model."""
