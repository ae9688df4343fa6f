"""From raw files to canonical rows, splits and a numeric profile of every row."""
