"""A run becomes a folder that others can load, check and cite."""
