"""Who may do what: one table of role × action, and the actions that a token of each scope may carry out.

Deny by default: an action that is not in a role's row is not allowed, a role that is not here allows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    ENGINEER = "engineer"
    VALIDATOR = "validator"
    RISK_OFFICER = "risk-officer"
    AUDITOR = "auditor"
    OWNER = "owner"
    ADMIN = "admin"
    SERVICE = "service"

    @property
    def label(self) -> str:
        return self.value.replace("-", " ")


class Action(StrEnum):
    VIEW = "view"  # see the system and everything in it, but not read artifacts
    READ_ARTIFACT = "artifact.read"  # read the bytes of an artifact
    SHRED = "artifact.shred"  # destroy the key of an artifact: erasure
    REGISTER = "pipeline.register"
    RUN = "run.start"
    CANCEL = "run.cancel"
    SUBMIT = "review.submit"
    WITHDRAW = "review.withdraw"
    VALIDATE = "review.vote.validator"
    ACCEPT_RISK = "review.vote.risk-officer"
    REVOKE = "approval.revoke"
    DRAFT_POLICY = "policy.draft"
    SIGN_POLICY = "policy.sign"
    ASSIGN_POLICY = "policy.assign"
    REQUEST_WAIVER = "waiver.request"
    DECIDE_WAIVER = "waiver.decide"
    END_WAIVER = "waiver.end"
    VIEW_LOG = "log.view"
    EXPORT = "export.create"
    CHANGE_SYSTEM = "system.change"
    GRANT = "role.grant"
    MANAGE_PEOPLE = "people.manage"
    CREATE_SYSTEM = "system.create"


_A = Action
ALLOWED: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {
        Role.ENGINEER: frozenset(
            {
                *(_A.VIEW, _A.READ_ARTIFACT, _A.REGISTER, _A.RUN, _A.CANCEL, _A.SUBMIT, _A.WITHDRAW),
                _A.REQUEST_WAIVER,
            }
        ),
        Role.VALIDATOR: frozenset(
            {
                *(_A.VIEW, _A.READ_ARTIFACT, _A.VALIDATE, _A.REVOKE, _A.VIEW_LOG, _A.EXPORT),
                *(_A.DRAFT_POLICY, _A.SIGN_POLICY, _A.END_WAIVER),
            }
        ),
        Role.RISK_OFFICER: frozenset(
            {
                *(_A.VIEW, _A.ACCEPT_RISK, _A.REVOKE, _A.VIEW_LOG, _A.EXPORT),
                *(_A.DRAFT_POLICY, _A.SIGN_POLICY, _A.ASSIGN_POLICY, _A.DECIDE_WAIVER, _A.END_WAIVER),
            }
        ),
        Role.AUDITOR: frozenset({_A.VIEW, _A.READ_ARTIFACT, _A.VIEW_LOG, _A.EXPORT}),
        Role.OWNER: frozenset(
            {
                *(_A.VIEW, _A.VIEW_LOG, _A.CHANGE_SYSTEM, _A.REVOKE, _A.EXPORT, _A.SUBMIT, _A.WITHDRAW, _A.SHRED),
                *(_A.REQUEST_WAIVER, _A.END_WAIVER),
            }
        ),
        Role.ADMIN: frozenset({_A.VIEW, _A.VIEW_LOG, _A.GRANT, _A.MANAGE_PEOPLE, _A.CREATE_SYSTEM, _A.CHANGE_SYSTEM}),
        Role.SERVICE: frozenset({_A.VIEW, _A.READ_ARTIFACT, _A.REGISTER, _A.RUN, _A.CANCEL, _A.SUBMIT}),
    }
)

# Signing is in no scope: a token cannot vote, revoke, grant or manage people.
SCOPES: Mapping[str, frozenset[Action]] = MappingProxyType(
    {
        "read": frozenset({_A.VIEW, _A.READ_ARTIFACT, _A.VIEW_LOG}),
        "run": frozenset({_A.VIEW, _A.REGISTER, _A.RUN, _A.CANCEL}),
        "submit": frozenset({_A.VIEW, _A.SUBMIT, _A.WITHDRAW, _A.REQUEST_WAIVER}),
        "export": frozenset({_A.VIEW, _A.VIEW_LOG, _A.EXPORT}),
    }
)

SIGNING = frozenset(
    {
        *(_A.VALIDATE, _A.ACCEPT_RISK, _A.REVOKE, _A.GRANT, _A.MANAGE_PEOPLE, _A.SHRED),
        *(_A.SIGN_POLICY, _A.ASSIGN_POLICY, _A.DECIDE_WAIVER, _A.END_WAIVER),
    }
)


def allows(role: str, action: Action) -> bool:
    """Whether the role's row has the action; an unknown role has no row."""
    try:
        return action in ALLOWED[Role(role)]
    except (ValueError, KeyError):
        return False


def roles_for(action: Action) -> list[Role]:
    """The roles whose row has the action, in table order."""
    return [role for role, actions in ALLOWED.items() if action in actions]


def scopes_allow(scopes: object, action: Action) -> bool:
    """Whether any of a token's scopes covers the action; anything unknown covers nothing."""
    if not isinstance(scopes, list):
        return False
    return any(action in SCOPES.get(scope, frozenset()) for scope in scopes if isinstance(scope, str))
