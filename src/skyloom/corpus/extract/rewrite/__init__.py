"""Text that the compiled pass over a page's tags cannot read as it stands: rewritten before the pass, after it, or beside it.

Input: columns of pages or of their blocks. Output: the columns. A compiled search finds the few that are concerned, and these are
rewritten one by one in Python, with regular expressions and libraries.
"""
