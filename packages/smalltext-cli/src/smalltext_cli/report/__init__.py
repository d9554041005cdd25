"""The HTML report of an evaluation: its page, its charts, and the SVG that they are drawn with."""
