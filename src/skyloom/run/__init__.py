"""Runs a recipe: composes the configs of all packages and connects their functions to content-addressed steps."""
