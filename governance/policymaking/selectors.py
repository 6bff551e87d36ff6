"""Reading drafts: who has signed, who can, and what a draft changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance import rules
from governance.models import PolicyVersion
from governance.policy import BUILTIN, ApprovalStep, Policy, builtin
from governance.policymaking import texts
from governance.policymaking.models import DraftSignature, PolicyAssignment, PolicyDraft
from governance.selectors import policies
from governance.selectors.people import ACTION_OF_ROLE
from security.access import selectors as access
from security.access.table import Action
from security.errors import ConflictError, DeniedError, MissingError
from security.identity.models import User

# Who answers for a policy: whether its evidence is enough is a validator's word, how much risk is taken an officer's.
SEATS: Mapping[str, str] = {
    "validator": "The evidence that it asks for is enough to judge a model by.",
    "risk-officer": "The risk that is left is one that we take.",
}


@dataclass(frozen=True)
class Signing:
    """Where the signatures of a draft stand for one person: as what they would sign, or why they cannot."""

    counted: Sequence[DraftSignature]
    void: Sequence[DraftSignature]
    role: str
    why_not: str

    @property
    def open_seats(self) -> list[tuple[str, str]]:
        """(role, meaning) of what is still needed."""
        taken = {row.role for row in self.counted}
        return [(role, meaning) for role, meaning in SEATS.items() if role not in taken]


def drafts() -> QuerySet[PolicyDraft]:
    """Drafts with what a line shows, newest first."""
    return PolicyDraft.objects.select_related("base", "author", "published")


def versions() -> QuerySet[Any]:
    """Published versions with their names, newest first."""
    return policies.named().select_related("made_by").order_by("-published_at")


def require_reader(user: User) -> None:
    """Policies are read by whoever has a role anywhere. Raises MissingError."""
    if not access.allowed_somewhere(user, Action.VIEW):
        raise MissingError("There is no such policy, or you have no role in any system.")


def version_for(user: User, pk: UUID | str) -> PolicyVersion:
    """A published version. Raises MissingError."""
    require_reader(user)
    found: PolicyVersion | None = versions().filter(pk=pk).first()
    if found is None:
        raise MissingError("There is no such policy version.")
    return found


def draft_for(user: User, pk: UUID | str) -> PolicyDraft:
    """A draft. Raises MissingError."""
    require_reader(user)
    found = drafts().filter(pk=pk).first()
    if found is None:
        raise MissingError("There is no such draft.")
    return found


def in_force() -> list[tuple[PolicyVersion | None, Policy]]:
    """The current version of every policy, and what this release ships where none is published yet."""
    published = policies.current_versions()
    names = dict.fromkeys([*BUILTIN, *sorted(published)])
    return [(version := published.get(name), version.policy if version else builtin(name)) for name in names]


def signed_for(version: PolicyVersion) -> list[DraftSignature]:
    """The signatures that published a version; none under one that a release shipped."""
    rows = DraftSignature.objects.filter(draft__published=version, policy_digest=version.digest)
    return list(rows.select_related("signer"))


def assignments() -> QuerySet[PolicyAssignment]:
    """Systems that are under a policy chosen by use now."""
    rows = PolicyAssignment.objects.filter(ended_at=None).select_related("system", "assigned_by")
    return rows.order_by("system__slug")


def counted(draft: PolicyDraft) -> list[DraftSignature]:
    """The signatures under exactly what the draft is now, by people who still hold their role."""
    return [row for row in _signatures(draft) if _counts(row, draft)]


def signing(user: User, draft: PolicyDraft) -> Signing:
    """Who has signed, and whether ``user`` can."""
    rows = _signatures(draft)
    good = [row for row in rows if _counts(row, draft)]
    role, why_not = "", ""
    try:
        if not draft.is_open:
            raise ConflictError(f"This draft is {draft.state} already.")
        access.require(user, Action.SIGN_POLICY)
        role = seat_for(user, draft)
    except (ConflictError, DeniedError) as error:
        why_not = error.message
    return Signing(good, [row for row in rows if row not in good], role, why_not)


def seat_for(user: User, draft: PolicyDraft) -> str:
    """As what a person would sign: who holds both roles takes the seat that leaves the other to be filled.

    Raises DeniedError (holds neither in all systems, or has signed), ConflictError (the seat is taken).
    """
    signed = counted(draft)
    if any(row.signer_id == user.pk for row in signed):
        raise DeniedError("You have signed this already; it takes two people.")
    mine = [role for role in SEATS if access.allowed(user, ACTION_OF_ROLE[role])]
    if not mine:
        raise DeniedError(f"Signing a policy needs the role {' or '.join(SEATS)} in all systems.")
    free = [role for role in mine if role not in {row.role for row in signed}]
    if not free:
        raise ConflictError(f"The signature of a {mine[0].replace('-', ' ')} is there already.")
    return next((role for role in free if _others_can_fill(user, role)), free[0])


def differences(draft: PolicyDraft) -> list[texts.Change]:
    """What the draft changes in the version that it follows."""
    return texts.changes(draft.base.content if draft.base else {}, draft.content)


def changes_of(version: PolicyVersion) -> tuple[PolicyVersion | None, list[texts.Change]]:
    """The version of that policy before this one, and what this one changed in it."""
    name = str(version.content.get("name") or version.tier)
    before = policies.named().filter(key=name, number__lt=version.number, tier=version.tier).order_by("-number").first()
    return before, texts.changes(before.content if before else {}, version.content)


def _signatures(draft: PolicyDraft) -> list[DraftSignature]:
    return list(DraftSignature.objects.filter(draft=draft).select_related("signer"))


def _counts(row: DraftSignature, draft: PolicyDraft) -> bool:
    base = draft.base.digest if draft.base else ""
    same = (row.policy_digest, row.base_digest) == (draft.digest, base)
    return same and (not draft.is_open or access.allowed(row.signer, ACTION_OF_ROLE[row.role]))


def _others_can_fill(user: User, role: str) -> bool:
    rest = {
        name: [one.pk for one in access.eligible(ACTION_OF_ROLE[name]) if one.pk != user.pk]
        for name in SEATS
        if name != role
    }
    steps = [ApprovalStep.model_validate({"role": name, "people": 1, "why": ""}) for name in rest]
    return rules.enough_people(steps, rest)
