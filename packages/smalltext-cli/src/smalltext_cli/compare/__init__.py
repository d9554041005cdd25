"""What ``smalltext compare`` and ``smalltext simulate`` share: data, candidates, cells in processes, and pages."""
