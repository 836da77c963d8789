"""The release of a run: a folder that others can load, check and cite."""
