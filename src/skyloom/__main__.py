"""The command line for `python -m skyloom`, where the program `skyloom` is not on the path."""

from skyloom.cli import entry

if __name__ == "__main__":
    entry()
