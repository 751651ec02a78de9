"""The command: its flags, what is checked before a job, the run, and the report of it."""
