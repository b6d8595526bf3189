"""`python -m streammatte` is `streammatte`."""

from streammatte.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
