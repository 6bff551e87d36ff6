"""Sign-in through a SAML 2.0 provider: a local one that signs its assertions with keys of its own."""

from __future__ import annotations

import base64
import datetime as dt
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from django.urls import reverse

from security.identity import sso
from security.log.models import AuditEvent
from tests.security.identity.test_second_factor import code_of, enrol_totp
from tests.support.people import People

pytest.importorskip("onelogin.saml2", reason="needs requirements-saml.txt")
from lxml import etree
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.utils import OneLogin_Saml2_Utils as Utils

IDP, HOST, SUBJECT = "https://idp.example.org/saml", "http://testserver", "c7f3-vera@example.org"
ENTITY, ACS = f"{HOST}/sign-in/saml/saml/", f"{HOST}/sign-in/saml/saml/answer/"
START, ANSWER = reverse("saml_login", args=["saml"]), reverse("saml_acs", args=["saml"])
RSA_SHA256, SHA256, SHA1 = Constants.RSA_SHA256, Constants.SHA256, Constants.SHA1


def pair() -> tuple[str, str]:
    """A private key and its certificate, PEM."""
    key, name = rsa.generate_private_key(65537, 2048), x509.Name([])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


KEY, OTHER_KEY = pair(), pair()


@dataclass(frozen=True)
class Says:
    """What the provider says; the defaults are right."""

    to: str
    subject: str = SUBJECT
    issuer: str = IDP
    audience: str = ENTITY
    recipient: str = ACS
    minutes: float = 5
    key: tuple[str, str] | None = KEY
    algorithm: str = RSA_SHA256
    digest: str = SHA256

    def assertion(self) -> str:
        now = dt.datetime.now(dt.UTC)
        at, until = (f"{when:%Y-%m-%dT%H:%M:%SZ}" for when in (now, now + dt.timedelta(minutes=self.minutes)))
        answers = f'InResponseTo="{self.to}" ' if self.to else ""
        text = (
            f'<saml:Assertion xmlns:saml="{Constants.NS_SAML}" ID="_{uuid4().hex}" Version="2.0" IssueInstant="{at}">'
            f"<saml:Issuer>{self.issuer}</saml:Issuer><saml:Subject>"
            f'<saml:NameID Format="{Constants.NAMEID_PERSISTENT}">{self.subject}</saml:NameID>'
            f'<saml:SubjectConfirmation Method="{Constants.CM_BEARER}"><saml:SubjectConfirmationData {answers}'
            f'NotOnOrAfter="{until}" Recipient="{self.recipient}"/></saml:SubjectConfirmation></saml:Subject>'
            f'<saml:Conditions NotBefore="{at}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>'
            f"{self.audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
            f'<saml:AuthnStatement AuthnInstant="{at}" SessionIndex="_s"><saml:AuthnContext><saml:AuthnContextClassRef>'
            f"{Constants.AC_PASSWORD}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
            "</saml:Assertion>"
        )
        if self.key is None:
            return text
        signed = Utils.add_sign(text, *self.key, sign_algorithm=self.algorithm, digest_algorithm=self.digest)
        return etree.tostring(etree.fromstring(signed)).decode()

    def response(self, *assertions: str, before: str = "") -> str:
        answers = f'InResponseTo="{self.to}" ' if self.to else ""
        text = (
            f'{before}<samlp:Response xmlns:samlp="{Constants.NS_SAMLP}" ID="_{uuid4().hex}" Version="2.0" {answers}'
            f'IssueInstant="{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}" Destination="{self.recipient}">'
            f'<saml:Issuer xmlns:saml="{Constants.NS_SAML}">{self.issuer}</saml:Issuer><samlp:Status>'
            f'<samlp:StatusCode Value="{Constants.STATUS_SUCCESS}"/></samlp:Status>'
            f"{''.join(assertions or (self.assertion(),))}</samlp:Response>"
        )
        return base64.b64encode(text.encode()).decode()


@pytest.fixture(autouse=True)
def provider(settings: Any) -> None:
    idp = {"entity_id": IDP, "sso_url": f"{IDP}/sso", "x509cert": KEY[1]}
    app = {
        "provider_id": "saml",
        "client_id": "saml",
        "name": "Acme",
        "settings": {"idp": idp, "advanced": settings.SAML_RULES},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"saml": {"APPS": [app]}}
    settings.SAML_IDP_ENTITY_ID, settings.SAML_NAME = IDP, "Acme"


def asked(client: Client) -> str:
    """Press the button; the id of the request that the provider gets."""
    to = client.post(START)["Location"]
    assert to.startswith(f"{IDP}/sso?")
    request = zlib.decompress(base64.b64decode(parse_qs(urlsplit(to).query)["SAMLRequest"][0]), -15)
    return etree.fromstring(request).get("ID")


def come(client: Client, response: str) -> Any:
    """The provider's page posts the answer, and the browser follows."""
    return client.post(ANSWER, {"SAMLResponse": response}, follow=True)


def is_in(client: Client) -> bool:
    return client.get(reverse("settings")).status_code == 200


@pytest.fixture
def linked(people: People) -> People:
    sso.link(acting_user=people.admin, user=people.validator, subject=SUBJECT)
    return people


def test_whoever_is_linked_comes_in_and_it_is_on_record(linked: People, client: Client):
    come(client, Says(asked(client)).response())
    assert client.get(reverse("settings")).wsgi_request.user == linked.validator
    assert '"methods":["socialaccount"]' in AuditEvent.objects.get(event="user:signed-in").entry


def test_whoever_is_not_linked_stays_out_and_is_told_their_subject(people: People, client: Client):
    answer = come(client, Says(asked(client), subject=people.validator.username).response())
    assert not is_in(client)
    assert people.validator.username in answer.content.decode()


def test_the_second_factor_is_asked_here_as_well(linked: People, client: Client):
    secret, _ = enrol_totp(linked.validator)
    come(client, Says(asked(client)).response())
    assert not is_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert is_in(client)


ATTACKS: dict[str, Callable[[Says], str]] = {
    "not signed": lambda said: replace(said, key=None).response(),
    "signed with another key": lambda said: replace(said, key=OTHER_KEY).response(),
    "signed with SHA-1": lambda said: replace(said, algorithm=Constants.RSA_SHA1, digest=SHA1).response(),
    "for another installation": lambda said: replace(said, audience="https://other.example.org/").response(),
    "for another address": lambda said: replace(said, recipient=ACS.replace("testserver", "evil.example")).response(),
    "of another provider": lambda said: replace(said, issuer="https://evil.example.org").response(),
    "expired": lambda said: replace(said, minutes=-10).response(),
    "unasked": lambda said: replace(said, to="").response(),
    "to a request that was never made": lambda said: replace(said, to="_made-up").response(),
    "changed after signing": lambda said: said.response(
        replace(said, subject="mallory").assertion().replace(">mallory<", f">{SUBJECT}<")
    ),
    "a forged assertion beside the signed one": lambda said: said.response(
        replace(said, key=None).assertion(), replace(said, subject="mallory").assertion()
    ),
    "the signed one hidden in a forged one": lambda said: said.response(
        replace(said, key=None)
        .assertion()
        .replace("</saml:Assertion>", replace(said, subject="mallory").assertion() + "</saml:Assertion>")
    ),
    "a comment that cuts the name": lambda said: replace(said, subject=f"{SUBJECT}<!---->.evil.example").response(),
    "an entity": lambda said: said.response(before=f'<!DOCTYPE r [<!ENTITY who "{SUBJECT}">]>'),
    "not XML": lambda said: base64.b64encode(b"nothing").decode(),
    "not Base64": lambda said: "%%%",
    "nothing": lambda said: "",
    "too much": lambda said: "A" * 300_000,
}


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_an_answer_that_is_forged_or_meant_for_another_is_refused(linked: People, client: Client, attack: str):
    answer = come(client, ATTACKS[attack](Says(asked(client))))
    assert not is_in(client)
    assert answer.status_code < 500
    assert not AuditEvent.objects.filter(event="user:signed-in").exists()


def test_an_answer_to_another_browser_s_request_is_refused(linked: People, client: Client):
    """Login CSRF: the attacker's own good answer, posted by somebody else's browser."""
    response = Says(asked(Client())).response()
    come(client, response)
    assert not is_in(client)


def test_an_answer_that_was_used_is_refused(linked: People, client: Client):
    response = Says(asked(client)).response()
    come(client, response)
    assert is_in(client)
    client.post(reverse("sign-out"))
    come(client, response)
    assert not is_in(client)


@pytest.mark.parametrize("name", ["saml_login", "saml_acs", "saml_finish_acs"])
def test_without_a_provider_or_under_another_name_there_is_no_such_door(db: None, settings, client: Client, name: str):
    for entity, slug in ((IDP, "other"), ("", "saml")):
        settings.SAML_IDP_ENTITY_ID = entity
        assert client.post(reverse(name, args=[slug])).status_code in (404, 405)
        assert client.get(reverse(name, args=[slug])).status_code in (404, 405)
