"""Who may do what: one table of role × action, and the actions that a token of each scope may carry out.

Deny by default: an action that is not in a role's row is not allowed, a role that is not here allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    ASSESS = "risk.assess"  # describe a system, answer its questionnaire, raise its tier, keep its register
    SIGN_RISK = "risk.sign"  # lower a tier, accept a risk, close a grave incident
    REPORT = "incident.report"
    PUBLISH_QUESTIONNAIRE = "questionnaire.publish"
    VIEW_LOG = "log.view"
    EXPORT = "export.create"
    ATTEST = "control.attest"  # sign that a control is met, or withdraw what was signed
    EXEMPT = "control.exempt"  # sign that a control does not apply: a second pair of eyes, never the owner's
    IMPORT_CATALOGUE = "catalogue.import"
    CHANGE_SYSTEM = "system.change"
    GRANT = "role.grant"
    MANAGE_PEOPLE = "people.manage"
    CREATE_SYSTEM = "system.create"
    CONNECT = "webhook.manage"  # tell programs elsewhere of a system's events


_A, _R = Action, Role
_LINE = (_R.ENGINEER, _R.VALIDATOR, _R.RISK_OFFICER, _R.OWNER)  # whoever works in a system says what is risky in it
# One line an action: who may carry it out.
WHO: Mapping[Action, Iterable[Role]] = MappingProxyType(
    {
        _A.VIEW: tuple(Role),
        _A.READ_ARTIFACT: (_R.ENGINEER, _R.VALIDATOR, _R.AUDITOR, _R.SERVICE),
        _A.SHRED: (_R.OWNER,),
        _A.REGISTER: (_R.ENGINEER, _R.SERVICE),
        _A.RUN: (_R.ENGINEER, _R.SERVICE),
        _A.CANCEL: (_R.ENGINEER, _R.SERVICE),
        _A.SUBMIT: (_R.ENGINEER, _R.OWNER, _R.SERVICE),
        _A.WITHDRAW: (_R.ENGINEER, _R.OWNER),
        _A.VALIDATE: (_R.VALIDATOR,),
        _A.ACCEPT_RISK: (_R.RISK_OFFICER,),
        _A.REVOKE: (_R.VALIDATOR, _R.RISK_OFFICER, _R.OWNER),
        _A.DRAFT_POLICY: (_R.VALIDATOR, _R.RISK_OFFICER),
        _A.SIGN_POLICY: (_R.VALIDATOR, _R.RISK_OFFICER),
        _A.ASSIGN_POLICY: (_R.RISK_OFFICER,),
        _A.REQUEST_WAIVER: (_R.ENGINEER, _R.OWNER),
        _A.DECIDE_WAIVER: (_R.RISK_OFFICER,),
        _A.END_WAIVER: (_R.VALIDATOR, _R.RISK_OFFICER, _R.OWNER),
        _A.ASSESS: _LINE,
        _A.SIGN_RISK: (_R.RISK_OFFICER,),
        _A.REPORT: (*_LINE, _R.SERVICE),
        _A.PUBLISH_QUESTIONNAIRE: (_R.ADMIN,),
        _A.VIEW_LOG: (_R.VALIDATOR, _R.RISK_OFFICER, _R.AUDITOR, _R.OWNER, _R.ADMIN),
        _A.EXPORT: (_R.VALIDATOR, _R.RISK_OFFICER, _R.AUDITOR, _R.OWNER),
        _A.ATTEST: (_R.VALIDATOR, _R.RISK_OFFICER, _R.OWNER),
        _A.EXEMPT: (_R.VALIDATOR, _R.RISK_OFFICER),
        _A.IMPORT_CATALOGUE: (_R.ADMIN,),
        _A.CHANGE_SYSTEM: (_R.OWNER, _R.ADMIN),
        _A.GRANT: (_R.ADMIN,),
        _A.MANAGE_PEOPLE: (_R.ADMIN,),
        _A.CREATE_SYSTEM: (_R.ADMIN,),
        _A.CONNECT: (_R.OWNER, _R.ADMIN),
    }
)
ALLOWED: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {role: frozenset(action for action, roles in WHO.items() if role in roles) for role in Role}
)

# Signing is in no scope: a token cannot vote, revoke, lower a tier, accept a risk, grant or manage people.
SCOPES: Mapping[str, frozenset[Action]] = MappingProxyType(
    {
        "read": frozenset({_A.VIEW, _A.READ_ARTIFACT, _A.VIEW_LOG}),
        "run": frozenset({_A.VIEW, _A.REGISTER, _A.RUN, _A.CANCEL}),
        "submit": frozenset({_A.VIEW, _A.SUBMIT, _A.WITHDRAW, _A.REQUEST_WAIVER}),
        "export": frozenset({_A.VIEW, _A.VIEW_LOG, _A.EXPORT}),
        "risk": frozenset({_A.VIEW, _A.ASSESS, _A.REPORT}),
    }
)

SIGNING = frozenset(
    {
        *(_A.VALIDATE, _A.ACCEPT_RISK, _A.REVOKE, _A.GRANT, _A.MANAGE_PEOPLE, _A.SHRED),
        *(_A.SIGN_POLICY, _A.ASSIGN_POLICY, _A.DECIDE_WAIVER, _A.END_WAIVER),
        _A.VALIDATE,
        _A.ACCEPT_RISK,
        _A.REVOKE,
        _A.GRANT,
        _A.MANAGE_PEOPLE,
        _A.SHRED,
        _A.SIGN_RISK,
        _A.PUBLISH_QUESTIONNAIRE,
        _A.ATTEST,
        _A.EXEMPT,
        _A.CONNECT,
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
