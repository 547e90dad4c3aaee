"""What lies in the cache: whether it is whole, what it is for, what can go; and archives."""
