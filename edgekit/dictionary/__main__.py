"""Write `docs/dictionary.md` anew: `python -m edgekit.dictionary`."""

from edgekit.dictionary.page import write

if __name__ == "__main__":
    write()
