"""What a row's text says about itself: damage, leftovers, private data, as numbers."""
