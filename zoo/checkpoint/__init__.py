"""Checkpoint files: read without running code, their own word, made into classifiers."""
