"""The four answers at the top of a run page."""
