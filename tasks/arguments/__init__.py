"""What speaks for and against each method: rules, the case they make, and its words."""
