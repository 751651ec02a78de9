"""What people look at after a job: the report and the review list."""
