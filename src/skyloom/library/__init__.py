"""The public Python library: what `import skyloom` gives. Its names stand in `skyloom/__init__.py` imported on first use."""
