"""Evaluation: perplexity by domain, multiple-choice accuracy and text samples, beside baselines (report 4)."""
