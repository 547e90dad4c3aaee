"""Exact numbers: pixels, evaluator, statistics, verdict, report."""
