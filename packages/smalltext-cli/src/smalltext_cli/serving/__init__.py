"""The HTTP service of `smalltext serve`, one subject a file."""
