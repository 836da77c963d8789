"""Pages to documents (report 3.1 and 3.2): one box for each stage of the pipeline, each used through its `__init__.py`."""
