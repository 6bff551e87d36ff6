"""The signed statements of signatures: envelopes in the vault that everybody may read who may view the system."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from governance.models import GrantAct, Vote
from security.vault.models import Artifact


def statements() -> QuerySet[Artifact]:
    """The artifacts that are the statement of a signature, and no others."""
    of_a_vote = Vote.objects.filter(statement=OuterRef("pk"))
    of_an_act = GrantAct.objects.filter(statement=OuterRef("pk"))
    return Artifact.objects.filter(Exists(of_a_vote) | Exists(of_an_act)).select_related("system")
