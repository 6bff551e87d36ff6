"""Frameworks: catalogues of controls, what people sign for them, and which of them a system covers.

The NIST AI RMF 1.0 core is data that needs no database, and can be had from here.
"""

from governance.frameworks.airmf import (
    Coverage,
    EvidenceKind,
    EvidenceLike,
    Subcategory,
    coverage,
    evidence_kinds,
    state_of,
    subcategories,
)

__all__ = [
    "Coverage",
    "EvidenceKind",
    "EvidenceLike",
    "Subcategory",
    "coverage",
    "evidence_kinds",
    "state_of",
    "subcategories",
]
