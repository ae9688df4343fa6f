"""What a run does: flows compose the stages and decide nothing."""
