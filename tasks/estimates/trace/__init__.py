"""The exact estimate: one real training step on tensors without data, its live bytes counted.

The child process (`python -m tasks.estimates.trace spec.json`) imports torch; nobody else here does.
Who wants an answer calls `tasks.estimates.traced`.
"""
