"""The `smalltext` command."""

from smalltext_cli._version import __version__

__all__ = ["__version__"]
