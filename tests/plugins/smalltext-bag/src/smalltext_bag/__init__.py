"""A bag of embeddings, a plugin of smalltext. Importing this imports nothing heavy."""

__version__ = "0.1.0"
