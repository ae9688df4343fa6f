"""Forms of a published model: an adapter, a merged or whole model, and their card."""
