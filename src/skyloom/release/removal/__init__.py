"""Documents taken out of a published corpus."""
