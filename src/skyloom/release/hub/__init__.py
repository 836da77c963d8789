"""A release on the Hugging Face Hub: the model and its corpus as two repositories."""
