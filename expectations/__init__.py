"""What a data set must satisfy: Great Expectations suites, nothing else."""
