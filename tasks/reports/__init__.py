"""Records as pages that people read."""
