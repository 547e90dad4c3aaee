"""`python -m mixzoo` is the `mixzoo` command."""

from .app.cli import main

if __name__ == "__main__":
    main()
