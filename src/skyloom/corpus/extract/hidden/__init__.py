"""Hidden text: what a page holds and does not show. Much of it is advertising that is written for search engines only.

Input: attributes and style sheets while a page is read (declared.py), and its blocks when it is read (settled.py). Output: flags
of `scratch.HIDE` (flags.py), at last DROP on the elements whose text is left out.
"""

from skyloom.corpus.extract.hidden.declared import flag, sheet
from skyloom.corpus.extract.hidden.flags import DROP, FADED, FOLD, HARD, SHOWN, SIZED, TINY, UNTOLD
from skyloom.corpus.extract.hidden.settled import inherit, settle_hidden

__all__ = ["DROP", "FADED", "FOLD", "HARD", "SHOWN", "SIZED", "TINY", "UNTOLD", "flag", "inherit", "settle_hidden", "sheet"]
