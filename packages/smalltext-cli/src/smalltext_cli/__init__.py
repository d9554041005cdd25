"""The `smalltext` command: train, evaluate and use text classifiers from a terminal."""

from smalltext_cli._version import __version__

__all__ = ["__version__"]
