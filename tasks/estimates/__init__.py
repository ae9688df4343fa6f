"""What a run will need, before anything is loaded: parameters, memory, time and money."""
