"""Audits training logs: what they say about a published number, and whether they can be true."""

from .audit import LogAudit, audit_files, audit_log, claim_of
from .reading import read_log
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
    "RULES",
    "WINDOW",
    "Claim",
    "LogAudit",
    "Summary",
    "audit_files",
    "audit_log",
    "claim_of",
    "explain",
    "heads_of_the_number",
    "read_log",
    "rounds_to",
    "rules",
]
