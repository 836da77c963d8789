"""The flags of `scratch.HIDE`: what is known of an element that may not be shown."""

HARD, FADED, TINY, WEAK, FOLD, SHOWN, SIZED, DROP, OPEN, UNTOLD = (1 << k for k in range(10))
"""Flags of an element. HARD: it and all inside is not shown. FADED: visibility hidden, until something inside is visible. TINY:
letters of no size, until something inside has one. WEAK: opacity 0. FOLD: a part of an accordion or of tabs. SHOWN, SIZED: ends
FADED, TINY. DROP: its text is left out. OPEN: a hidden part that a click shows. UNTOLD: `aria-hidden`, which counts for prose."""
