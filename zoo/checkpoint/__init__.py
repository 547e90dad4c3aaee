"""Checkpoint files: read without running code, what they say of themselves, made into classifiers."""
