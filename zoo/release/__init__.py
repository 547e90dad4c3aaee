"""What servers hold today, the lock that is made of it, and files that a person fetched by hand."""
