"""The text of marked-up pages (wikitext, LaTeX, XHTML), each within a budget of work."""
