"""The leakage audit: loss gaps between splits with intervals, a positive control, and overlap with the corpus (report 5.2)."""
