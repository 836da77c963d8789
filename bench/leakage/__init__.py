"""Measurements of the audit of leakage."""
