"""Sections of the recipe that are long enough for a file of their own."""
