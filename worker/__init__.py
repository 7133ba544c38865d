"""BCD's second floor: jobs, the queue and the command line."""
