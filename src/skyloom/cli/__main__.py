"""`python -m skyloom.cli` is `skyloom`."""

from skyloom.cli import entry

if __name__ == "__main__":
    entry()
