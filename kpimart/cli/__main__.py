"""`python -m kpimart.cli`: the command line without its script."""

from kpimart.cli import main

if __name__ == "__main__":
    main()
