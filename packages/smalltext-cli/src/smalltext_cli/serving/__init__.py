"""The HTTP service of `smalltext serve`, one subject per file."""
