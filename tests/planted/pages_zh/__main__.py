"""Writes the marked pages, see the package."""

from tests.planted.pages_zh import main

main()
