"""`python -m modelwright.cli` is the command `modelwright`."""

from modelwright.cli.main import main

if __name__ == "__main__":
    main()
