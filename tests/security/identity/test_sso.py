"""Sign-in through an OpenID Connect provider: a local one, with its own keys, spoken to over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse

from security.errors import ConflictError, DeniedError, InvalidError
from security.identity import sso
from security.identity.models import User
from security.log.models import AuditEvent
from tests.security.identity.test_second_factor import code_of, enrol_totp
from tests.support.issuer import Issuer
from tests.support.people import People

SUBJECT = "248289761001"
START, BACK = reverse("openid_connect_login", args=["oidc"]), reverse("openid_connect_callback", args=["oidc"])


@pytest.fixture
def provider(settings) -> Iterator[Issuer]:
    made = Issuer()
    endpoints = {"authorization": "/authorize", "token": "/token", "userinfo": "/userinfo"}
    made.discovery = {f"{name}_endpoint": made.url + path for name, path in endpoints.items()}
    app = {"provider_id": "oidc", "name": "Acme", "client_id": "countersign", "secret": "s3cret"}
    apps = [{**app, "settings": {"server_url": made.url}}]
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": apps}}
    settings.OIDC_ISSUER, settings.OIDC_NAME = made.url, "Acme"
    serve(made)
    yield made
    made.close()


def serve(provider: Issuer, **claims: object) -> None:
    """What the provider says of whoever signs in."""
    said = {"sub": SUBJECT, "aud": "countersign", "email": "vera@example.org", "preferred_username": "vera"} | claims
    token = provider.token(**said)
    provider.more = {
        "/token": {"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": token},
        "/userinfo": {"sub": said["sub"], "email": said["email"], "preferred_username": "vera"},
    }


def come(client: Client, **change: str):
    """From the button to the answer of the callback."""
    asked = client.post(START)
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked["Location"]).query).items()}
    return query, client.get(BACK, {"code": "c0de", "state": query["state"], **change})


def is_in(client: Client) -> bool:
    return client.get(reverse("settings")).status_code == 200


def test_whoever_is_linked_comes_in_and_it_is_on_record(people: People, provider: Issuer, client: Client):
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    query, answer = come(client)
    assert answer.status_code == 302
    assert is_in(client)
    assert client.get(reverse("settings")).wsgi_request.user == people.validator
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert provider.posted[0]["code_verifier"]
    event = AuditEvent.objects.get(event="user:signed-in")
    assert '"methods":["socialaccount"]' in event.entry


def test_nobody_comes_in_by_a_name_or_an_address_that_fits(people: People, provider: Issuer, client: Client):
    """The attack: an account at the provider with a colleague's e-mail address and user name."""
    User.objects.filter(pk=people.validator.pk).update(email="vera@example.org")
    before = User.objects.count()
    _, answer = come(client)
    assert answer["Location"] == reverse("sign-in-refused")
    assert not is_in(client)
    assert (User.objects.count(), SocialAccount.objects.count()) == (before, 0)
    assert SUBJECT in client.get(reverse("sign-in-refused")).content.decode()
    assert '"why":"not linked"' in AuditEvent.objects.get(event="user:sign-in-failed").entry


def test_the_second_factor_is_asked_here_as_well(people: People, provider: Issuer, client: Client):
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    secret, _ = enrol_totp(people.validator)
    _, answer = come(client)
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(client)
    assert client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302
    assert is_in(client)


def test_a_deactivated_person_and_a_service_do_not_come_in(people: People, provider: Issuer, client: Client):
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    for change in ({"is_active": False}, {"is_active": True, "is_service": True}):
        User.objects.filter(pk=people.validator.pk).update(**change)
        fresh = Client()
        come(fresh)
        assert not is_in(fresh)


@pytest.mark.parametrize("claims", [{"aud": "another-client"}, {"iss": "https://evil.example"}, {"exp": 1}])
def test_a_token_for_another_or_of_another_or_expired_is_refused(people, provider: Issuer, client: Client, claims):
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    serve(provider, **claims)
    come(client)
    assert not is_in(client)


def test_an_answer_that_nobody_asked_for_is_refused(people: People, provider: Issuer, client: Client):
    """Login CSRF: the attacker's code and state in somebody else's browser."""
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    query, _ = come(Client())
    client.get(BACK, {"code": "c0de", "state": query["state"]})
    assert not is_in(client)
    come(client, state="made-up")
    assert not is_in(client)


def test_a_provider_that_fails_leaves_nobody_signed_in_and_says_so(people: People, provider: Issuer, client: Client):
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    _, answer = come(client, error="access_denied", code="")
    assert "Not signed in" in client.get(reverse("sign-in-refused")).content.decode()
    assert answer.status_code in (200, 302, 401, 403)
    assert not is_in(client)


def test_linking_is_for_others_counts_as_a_hand_and_ends(people: People, provider: Issuer, client: Client):
    with pytest.raises(DeniedError):
        sso.link(acting_user=people.admin, user=people.admin, subject=SUBJECT)
    with pytest.raises(InvalidError):
        sso.link(acting_user=people.admin, user=people.validator, subject=" ")
    made = sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    with pytest.raises(ConflictError):
        sso.link(acting_user=people.admin, user=people.engineer, subject=SUBJECT)
    people.validator.refresh_from_db()
    assert people.validator.credentials_by == people.admin
    sso.unlink(acting_user=people.admin, user=people.validator, link_id=made.pk)
    come(client)
    assert not is_in(client)


def test_without_a_provider_there_is_no_such_door(people: People, client: Client):
    assert client.post(START).status_code == 404
    assert "Sign in through" not in client.get(reverse("sign-in")).content.decode()
    with pytest.raises(ConflictError):
        sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
