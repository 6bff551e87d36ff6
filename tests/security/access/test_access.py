"""Who may do what: the table, grants, tokens, and the sentence that says why not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from security.access import selectors as access
from security.access.models import AISystem, RoleGrant
from security.access.services import bootstrap_admin, create_system, grant_role, revoke_role
from security.access.table import ALLOWED, SCOPES, SIGNING, Action, Role, allows, scopes_allow
from security.errors import ConflictError, DeniedError, InvalidError, MissingError
from security.identity.models import ApiToken, User
from security.identity.services import authenticate_token, create_token, create_user
from security.log.models import AuditEvent

pytestmark = pytest.mark.django_db


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_every_role_has_a_row_and_admins_cannot_sign_or_run():
    assert set(ALLOWED) == set(Role)
    assert not ALLOWED[Role.ADMIN] & {Action.VALIDATE, Action.ACCEPT_RISK, Action.RUN, Action.SUBMIT}
    assert not ALLOWED[Role.AUDITOR] - {Action.VIEW, Action.READ_ARTIFACT, Action.VIEW_LOG, Action.EXPORT}


def test_no_role_holds_both_votes_and_no_builder_votes():
    for actions in ALLOWED.values():
        assert not {Action.VALIDATE, Action.ACCEPT_RISK} <= actions
        assert not (Action.RUN in actions and actions & {Action.VALIDATE, Action.ACCEPT_RISK})


def test_unknown_roles_and_scopes_allow_nothing():
    assert not any(allows("superuser", action) for action in Action)
    assert not any(scopes_allow(scopes, action) for scopes in (["root"], [], None, "read", [None]) for action in Action)


def test_no_scope_covers_signing():
    assert not any(actions & SIGNING for actions in SCOPES.values())


def test_a_role_holds_in_its_own_system_only(people):
    assert access.allowed(people.engineer, Action.RUN, people.system)
    assert not access.allowed(people.engineer, Action.RUN, people.other)
    assert not access.allowed(people.engineer, Action.RUN)


def test_a_foreign_object_does_not_exist_and_an_own_one_may_be_denied(people):
    with pytest.raises(MissingError):
        access.get(people.outsider, Action.VIEW, AISystem.objects.all(), slug="credit")
    with pytest.raises(DeniedError, match="Eligible: Ada Admin, Olga Owner"):
        access.get(people.engineer, Action.CHANGE_SYSTEM, AISystem.objects.all(), slug="credit")
    assert access.get(people.owner, Action.CHANGE_SYSTEM, AISystem.objects.all(), slug="credit") == people.system
    for lookup in ({"slug": "\0"}, {"pk": "no-uuid"}, {"slug": "unknown"}):
        with pytest.raises(MissingError):
            access.get(people.owner, Action.VIEW, AISystem.objects.all(), **lookup)


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_nobody_signed_in_sees_nothing(people, user):
    assert not access.visible(user, Action.VIEW, AISystem.objects.all()).exists()
    assert not access.allowed(user, Action.VIEW, people.system)


def test_expired_revoked_and_inactive_grants_do_not_hold(people):
    grant = RoleGrant.objects.get(user=people.engineer)
    RoleGrant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not access.allowed(fresh(people.engineer), Action.VIEW, people.system)
    RoleGrant.objects.filter(pk=grant.pk).update(expires_at=None)
    assert access.allowed(fresh(people.engineer), Action.VIEW, people.system)
    revoke_role(acting_user=people.admin, grant=grant)
    assert not access.allowed(fresh(people.engineer), Action.VIEW, people.system)
    User.objects.filter(pk=people.validator.pk).update(is_active=False)
    assert not access.allowed(fresh(people.validator), Action.VIEW, people.system)
    assert people.validator not in access.eligible(Action.VALIDATE, people.system)


def test_nobody_grants_to_themselves_even_in_the_database(people):
    with pytest.raises(DeniedError, match="to themselves"):
        grant_role(acting_user=people.admin, user=people.admin, role="validator", system=people.system)
    with pytest.raises(IntegrityError), transaction.atomic():
        RoleGrant.objects.create(user=people.admin, role="validator", granted_by=people.admin)


def test_only_an_admin_grants(people):
    with pytest.raises(DeniedError):
        grant_role(acting_user=people.owner, user=people.nobody, role="engineer", system=people.system)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "king"}, "role"),
        ({"role": "service"}, "role"),
        ({"expires_at": timezone.now()}, "expires_at"),
        ({"expires_at": timezone.now() + timedelta(days=368)}, "expires_at"),
    ],
)
def test_a_senseless_grant_is_refused(people, change, field):
    wanted = {"user": people.nobody, "role": "engineer", "system": people.system} | change
    with pytest.raises(InvalidError) as refused:
        grant_role(acting_user=people.admin, **wanted)
    assert refused.value.field == field


def test_a_role_that_nobody_ended_ends_by_itself(people):
    made = grant_role(acting_user=people.admin, user=people.nobody, role="auditor", system=people.system)
    assert access.live_grants(timezone.now() + timedelta(days=364)).filter(pk=made.pk).exists()
    assert not access.live_grants(timezone.now() + timedelta(days=366)).filter(pk=made.pk).exists()


def test_the_same_role_twice_is_a_conflict_and_again_after_its_end_is_not(people):
    with pytest.raises(ConflictError):
        grant_role(acting_user=people.admin, user=people.engineer, role="engineer", system=people.system)
    RoleGrant.objects.filter(user=people.engineer).update(expires_at=timezone.now() - timedelta(days=1))
    assert grant_role(acting_user=people.admin, user=people.engineer, role="engineer", system=people.system)


def test_a_grant_that_ran_out_is_closed_with_an_event_of_its_own(people):
    expired = RoleGrant.objects.get(user=people.engineer)
    RoleGrant.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(days=1))
    made = grant_role(acting_user=people.admin, user=people.engineer, role="engineer", system=people.system)
    event = AuditEvent.objects.get(event="role:expired")
    assert json.loads(event.entry)["payload"]["grant"] == str(expired.pk)
    assert made.pk != expired.pk


def test_a_token_of_one_system_does_nothing_in_another_that_its_owner_has(people):
    grant_role(acting_user=people.admin, user=people.engineer, role="engineer", system=people.other)
    token, text = create_token(acting_user=people.engineer, user=people.engineer, name="x", scopes=["read", "run"])
    free = authenticate_token(text).user
    assert access.allowed(free, Action.RUN, people.other)
    ApiToken.objects.filter(pk=token.pk).update(system=people.system)
    bound = authenticate_token(text).user
    assert access.allowed(bound, Action.RUN, people.system)
    assert not access.allowed(bound, Action.RUN, people.other)
    assert list(access.visible(bound, Action.VIEW, AISystem.objects.all())) == [people.system]


def test_a_second_first_administrator_is_refused(people):
    with pytest.raises(ConflictError):
        bootstrap_admin(user=people.nobody)


def test_a_token_never_does_more_than_its_scopes_or_its_owner(people):
    _, text = create_token(acting_user=people.engineer, user=people.engineer, name="ci", scopes=["read"])
    user = authenticate_token(text).user
    assert access.allowed(user, Action.VIEW, people.system)
    assert not access.allowed(user, Action.RUN, people.system)
    assert not access.allowed(user, Action.VIEW, people.other)
    with pytest.raises(DeniedError, match=r"scopes \(read\) do not cover"):
        access.require(user, Action.RUN, people.system)


def test_a_validators_token_cannot_vote(people):
    every = ["read", "run", "submit", "export", "risk"]
    _, text = create_token(acting_user=people.validator, user=people.validator, name="all", scopes=every)
    user = authenticate_token(text).user
    with pytest.raises(DeniedError, match="a token cannot do it"):
        access.require(user, Action.VALIDATE, people.system)


def test_systems_are_validated(people):
    for change, field in (
        ({"slug": "Bad Slug"}, "slug"),
        ({"slug": "credit"}, "slug"),
        ({"slug": "new"}, "slug"),
    ):
        with pytest.raises(InvalidError) as refused:
            create_system(**({"acting_user": people.admin, "slug": "fresh", "name": "Fresh"} | change))
        assert refused.value.field == field


def test_a_service_cannot_become_a_signer(people):
    service = create_user(acting_user=people.admin, username="ci", full_name="CI", password=None, is_service=True)
    with pytest.raises(InvalidError):
        grant_role(acting_user=people.admin, user=service, role="risk-officer", system=people.system)
    grant_role(acting_user=people.admin, user=service, role="service", system=people.system)
    assert service not in access.eligible(Action.RUN, people.system)
