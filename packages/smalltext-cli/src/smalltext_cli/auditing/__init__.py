"""Checks of labelled texts for `smalltext audit`, one subject a file."""
