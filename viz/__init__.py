"""Data in, figure out: pictures of mixed samples and of what is measured."""
