"""`python -m bci` is the `bci` command."""

from bci.cli import main

if __name__ == "__main__":
    main()
