"""Checkpoint files: read without running code, made into classifiers, written again."""
