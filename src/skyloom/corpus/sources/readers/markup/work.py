"""The budget of work of one page: how many steps a reader may take, in proportion to the size of what it reads.

Input: the size of a page's source, and the steps that a reader reports. Output: the count, or `TookTooLongError` once a page
takes many times what a usual page of its size takes. A step is a token, a node, or eight characters that a compiled scan looks
at: what no machine changes, so the same input has the same outcome everywhere; seconds would not. A page beyond its budget
becomes a row with the reason `TOO_LONG`, which keeps its name, and reading goes on with the next page.

Our own scanners look at each character a fixed number of times and cannot exceed the budget. It is for the libraries that parse
LaTeX and wikitext: they try one way to read a mark, and start again behind it if no end follows.
"""

from __future__ import annotations

TOO_LONG = "took too long"
STEPS_PER_CHARACTER = 10  # usual pages take 0.2 to 2
FREE_STEPS = 100_000
_CHARACTERS_PER_STEP = 8


class TookTooLongError(Exception):
    """A page takes more steps than its size allows. No ValueError: libraries must not take it for their own."""

    def __init__(self) -> None:
        super().__init__(TOO_LONG)


class Work:
    """Counts the steps of a page. `steps` is their number so far, `limit` how many there may be."""

    def __init__(self, size: int = 0) -> None:
        self.steps, self.limit = 0, FREE_STEPS
        self.allow(size)

    def allow(self, size: int) -> None:
        """Let the page be `size` characters (or bytes) larger."""
        self.limit += STEPS_PER_CHARACTER * size

    def look(self, size: int) -> None:
        """Count a compiled scan over `size` characters."""
        self.spend(1 + size // _CHARACTERS_PER_STEP)

    def spend(self, steps: int) -> None:
        """Count some steps. TookTooLongError if there were too many; then the count is the limit."""
        self.steps += steps
        if self.steps > self.limit:
            self.steps = self.limit
            raise TookTooLongError
