"""The smalltext command: train, evaluate and use text classifiers from a terminal."""

__all__ = ["__version__"]

__version__ = "0.1.0"
