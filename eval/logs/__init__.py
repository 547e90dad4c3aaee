"""Audits training logs: what they say about a published number, and whether they can be true."""

from .arithmetic import OTHER_IMAGES, CountTest
from .audit import LogAudit, audit_files, audit_log, claim_of
from .reading import TrainingLog, read_log
from .summaries import (
    AUTOMIX,
    BEST,
    HEADINGS,
    LAST,
    MEDIAN,
    RULES,
    WINDOW,
    Claim,
    Summary,
    heads_of_the_number,
    rounds_to,
    rules,
)
from .words import explain

__all__ = [
    "AUTOMIX",
    "BEST",
    "HEADINGS",
    "LAST",
    "MEDIAN",
    "OTHER_IMAGES",
    "RULES",
    "WINDOW",
    "Claim",
    "CountTest",
    "LogAudit",
    "Summary",
    "TrainingLog",
    "audit_files",
    "audit_log",
    "claim_of",
    "explain",
    "heads_of_the_number",
    "read_log",
    "rounds_to",
    "rules",
]
