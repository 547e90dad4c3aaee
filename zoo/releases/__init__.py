"""What servers hold today, and the lock that is made of it."""
