"""Places a model is published to."""
