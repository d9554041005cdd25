"""The evaluation report: one HTML file with the pictures, that needs nothing else."""

from smalltext_cli.report.page import render_report

__all__ = ["render_report"]
