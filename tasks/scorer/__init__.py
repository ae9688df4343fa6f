"""The child process that scores base and tuned model on the test rows."""
