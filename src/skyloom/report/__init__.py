"""The run page (one HTML file) and the dashboard of a training run."""
