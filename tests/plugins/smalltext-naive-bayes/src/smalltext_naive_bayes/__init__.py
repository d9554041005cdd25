"""Naive Bayes, a plugin of smalltext. Importing this imports nothing heavy."""
