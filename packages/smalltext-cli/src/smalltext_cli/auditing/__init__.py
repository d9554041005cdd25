"""Checks of labelled texts for `smalltext audit`, one subject per file."""
