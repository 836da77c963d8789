"""A run becomes one page that anybody can open."""
