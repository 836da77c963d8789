"""Learned quality judges (report 3.1): CCNet's perplexity, a classifier "would be a reference in Wikipedia", and quality groups."""
