"""Files from elsewhere: which released ones they are, and how they get into the cache."""
