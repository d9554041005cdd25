"""The shared parts of ``smalltext compare`` and ``smalltext simulate``: data, candidates, cells and pages."""
