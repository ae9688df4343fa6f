"""Measures: one a file; each says its unit and how its interval is made."""
