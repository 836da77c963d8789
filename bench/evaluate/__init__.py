"""Measurements of the evaluation of any model, and converters of public benchmark files."""
