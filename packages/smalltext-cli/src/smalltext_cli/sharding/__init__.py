"""Sharded predictions: several jobs, which may be killed at any time, label the rows of one input."""
