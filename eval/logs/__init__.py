"""Audits training logs: what they say about a published number, and whether they can be true."""

from .audit import Claim, HeadAudit, LogAudit, audit_files, audit_log, claim_of, to_dict
from .reading import TrainingLog, read_log
from .words import explain

__all__ = [
    "Claim",
    "HeadAudit",
    "LogAudit",
    "TrainingLog",
    "audit_files",
    "audit_log",
    "claim_of",
    "explain",
    "read_log",
    "to_dict",
]
