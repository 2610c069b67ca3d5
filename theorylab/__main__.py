"""`python -m theorylab`: the command line."""

from theorylab.cli.app import main

if __name__ == "__main__":
    main()
