"""Token exchange for CI against a local issuer: what works, and each attack carried out with real tokens."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from django.test import Client

from security.access import selectors as access
from security.access.services import grant_role
from security.access.table import Action, Role
from security.errors import ConflictError, DeniedError, InvalidError, UnavailableError
from security.identity.models import ApiToken, Attempts, User
from security.identity.services import authenticate_token, create_user
from security.log.models import AuditEvent
from security.workload import jwt, keys, services
from security.workload.models import Trust, UsedToken
from tests.support.issuer import AUDIENCE, Issuer, b64, weak_key
from tests.support.people import People

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:jwt"
MAIN = "repo:octo-org/credit:ref:refs/heads/main"


@pytest.fixture
def issuer(settings) -> Iterator[Issuer]:
    keys.forget()
    made = Issuer()
    settings.WORKLOAD_ISSUERS = {"github": {"kind": "github", "issuer": made.url}}
    settings.WORKLOAD_AUDIENCE = AUDIENCE
    yield made
    made.close()
    keys.forget()


@pytest.fixture
def robot(people: People) -> User:
    """A service with the role in both systems."""
    made = create_user(acting_user=people.admin, username="ci", full_name="CI", password=None, is_service=True)
    for system in (people.system, people.other):
        grant_role(acting_user=people.admin, user=made, role=Role.SERVICE, system=system)
    return made


@pytest.fixture
def trust(people: People, robot: User, issuer: Issuer) -> Trust:
    return trusted(people, robot)


def trusted(people: People, robot: User, **changes: object) -> Trust:
    wanted = {"service": robot, "system": people.system, "issuer": "github", "subject": MAIN, "scopes": ["read", "run"]}
    return services.trust(acting_user=people.admin, **(wanted | changes))


def ask(token: str, client: Client | None = None, **more: str):
    body = {"grant_type": GRANT, "subject_token": token, "subject_token_type": TYPE} | more
    return (client or Client()).post("/oauth/token", body)


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_trusted_job_gets_a_short_lived_token_bound_to_one_system(people: People, issuer: Issuer, trust, alg: str):
    answer = ask(issuer.token(alg=alg))
    assert answer.status_code == 200
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert 895 <= body["expires_in"] <= 900
    assert body["scope"] == "read run"
    user = authenticate_token(body["access_token"]).user
    assert user.username == "ci"
    assert access.allowed(user, Action.RUN, people.system)
    assert not access.allowed(user, Action.RUN, people.other)
    assert not access.allowed(user, Action.VIEW)
    assert [one.slug for one in access.visible(user, Action.VIEW, type(people.system).objects.all())] == ["credit"]
    assert not access.allowed(user, Action.SUBMIT, people.system)
    me = Client().get("/api/v1/systems", headers={"Authorization": f"Bearer {body['access_token']}"}).json()
    assert [row["slug"] for row in me["results"]] == ["credit"]


def test_the_exchange_is_on_record_without_either_token(issuer: Issuer, trust):
    token = issuer.token()
    ours = ask(token).json()["access_token"]
    event = AuditEvent.objects.get(event="token:exchanged")
    assert event.system == "credit"
    payload = json.loads(event.entry)["payload"]
    assert payload["subject"] == MAIN
    assert payload["trust"] == str(trust.pk)
    logged = "".join(AuditEvent.objects.values_list("entry", flat=True))
    for secret in (token, token.split(".")[2], ours.split("_", 2)[2]):
        assert secret not in logged


def resigned(token: str) -> str:
    """The same token with the other of the two signatures that ECDSA has for it: (r, n-s)."""
    head, _, tail = token.rpartition(".")
    raw = base64.urlsafe_b64decode(tail + "==")
    r, s = decode_dss_signature(encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return f"{head}.{b64(r.to_bytes(32, 'big') + (order - s).to_bytes(32, 'big'))}"


def test_a_token_is_exchanged_once_even_with_its_other_signature(issuer: Issuer, trust):
    token = issuer.token(alg="ES256")
    assert ask(token).status_code == 200
    for again in (token, resigned(token)):
        answer = ask(again)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert "exchanged already" in answer.json()["error_description"]
    assert ApiToken.objects.count() == 1


def other_rsa() -> object:
    return rsa.generate_private_key(65537, 2048)


TWICE = b'{"alg":"none","alg":"RS256","kid":"rsa-1"}'
FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "alg none": lambda i: i.forged({"alg": "none", "typ": "JWT", "kid": "rsa-1"}) + "x",
    "alg none, no signature": lambda i: i.forged({"alg": "none", "kid": "rsa-1"}),
    "alg None in another spelling": lambda i: i.forged({"alg": "nOnE", "kid": "rsa-1"}, b"x"),
    "HMAC with the public key as secret": lambda i: i.forged({"alg": "HS256", "kid": "rsa-1"}, i.public_pem()),
    "HMAC called RS256": lambda i: i.forged({"alg": "RS256", "kid": "rsa-1"}, i.public_pem()),
    "HMAC with the modulus": lambda i: i.forged({"alg": "HS256", "kid": "rsa-1"}, i.keys[0]["n"].encode()),
    "signed by another RSA key": lambda i: i.token(key=other_rsa()),
    "signed by another EC key": lambda i: i.token(key=ec.generate_private_key(ec.SECP256R1()), alg="ES256"),
    "RS256 under the EC key's id": lambda i: i.token(header={"kid": "ec-1"}),
    "ES256 under the RSA key's id": lambda i: i.token(alg="ES256", header={"kid": "rsa-1"}),
    "RS512, which is not in the list": lambda i: i.token(key=i.rsa, alg="RS512", header={"kid": "rsa-1"}),
    "kid of no key": lambda i: i.token(header={"kid": "rsa-2"}),
    "no kid": lambda i: i.token(header={}),
    "kid is a path": lambda i: i.token(header={"kid": "../../../../dev/null"}),
    "kid is a path, HMAC with an empty secret": lambda i: i.forged({"alg": "HS256", "kid": "/dev/null"}, b""),
    "kid is SQL": lambda i: i.token(header={"kid": "x' UNION SELECT 'key"}),
    "kid is a list": lambda i: i.forged({"alg": "RS256", "kid": ["rsa-1"]}, b"x"),
    "a key in the header": lambda i: i.token(header={"kid": "rsa-1", "jwk": i.keys[0]}),
    "an address of keys in the header": lambda i: i.token(header={"kid": "rsa-1", "jku": f"{i.url}/jwks"}),
    "a certificate's address in the header": lambda i: i.token(header={"kid": "rsa-1", "x5u": f"{i.url}/c"}),
    "a critical extension": lambda i: i.token(header={"kid": "rsa-1", "crit": ["exp"]}),
    "another type of token": lambda i: i.token(header={"kid": "rsa-1", "typ": "dpop+jwt"}),
    "two parts": lambda i: i.token().rpartition(".")[0],
    "five parts": lambda i: i.token() + ".a.b",
    "not JSON": lambda i: "aGFsbG8.aGFsbG8.aGFsbG8",
    "a list": lambda i: f"{b64(b'[]')}.{b64(b'[]')}.eA",
    "a name twice": lambda i: f"{b64(TWICE)}.{i.token().split('.', 1)[1]}",
    "deep nesting": lambda i: f"{b64(b'[' * 9000)}.e30.eA",
    "too large": lambda i: i.token(padding="x" * 20_000),
    "another issuer": lambda i: i.token(iss="https://token.actions.githubusercontent.com"),
    "no issuer": lambda i: i.token(iss=None),
    "the issuer with a slash": lambda i: i.token(iss=i.url + "/"),
    "another audience": lambda i: i.token(aud="https://github.com/octo-org"),
    "an audience that contains ours": lambda i: i.token(aud=AUDIENCE + ".evil.example"),
    "no audience": lambda i: i.token(aud=None),
    "expired": lambda i: i.token(iat=int(time.time()) - 900, exp=int(time.time()) - 60),
    "never expires": lambda i: i.token(exp=None),
    "expires in a year": lambda i: i.token(exp=int(time.time()) + 365 * 86400),
    "expires at infinity": lambda i: i.token(exp=float("inf")),
    "expires as text": lambda i: i.token(exp="9999999999"),
    "not yet": lambda i: i.token(nbf=int(time.time()) + 120),
    "issued in the future": lambda i: i.token(iat=int(time.time()) + 120),
    "no time of issue": lambda i: i.token(iat=None),
    "another repository": lambda i: i.token(sub="repo:octo-org/other:ref:refs/heads/main"),
    "another owner of that name": lambda i: i.token(sub="repo:evil/credit:ref:refs/heads/main"),
    "a pull request": lambda i: i.token(sub="repo:octo-org/credit:pull_request"),
    "a branch that begins the same": lambda i: i.token(sub=MAIN + "-evil"),
    "our subject inside another": lambda i: i.token(sub="repo:evil/x:" + MAIN),
    "our subject with a line behind": lambda i: i.token(sub=MAIN + "\n"),
    "no subject": lambda i: i.token(sub=None),
    "subject is a list": lambda i: i.token(sub=[MAIN]),
}


@pytest.mark.parametrize("attack", FORGERIES)
def test_a_forged_or_foreign_token_gets_nothing(issuer: Issuer, trust, attack: str):
    answer = ask(FORGERIES[attack](issuer))
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")
    assert not ApiToken.objects.exists()
    assert not UsedToken.objects.exists()


def test_the_right_token_works_beside_every_forgery(issuer: Issuer, trust):
    """The positive control of the test above."""
    assert (
        ask(issuer.token(header={"kid": "rsa-1", "typ": "JWT", "x5t": "abc"}, aud=["other", AUDIENCE])).status_code
        == 200
    )


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_weak_or_misused_key_of_the_issuer_itself_is_refused(issuer: Issuer, trust):
    weak = weak_key()
    for wrong in (
        issuer.jwk(weak, "weak", "RS256"),
        {**issuer.keys[0], "kid": "weak", "use": "enc"},
        {**issuer.keys[0], "kid": "weak", "alg": "PS256"},
        {"kty": "oct", "kid": "weak", "k": b64(b"secret")},
    ):
        keys.forget()
        Attempts.objects.all().delete()
        issuer.keys = [wrong]
        signer = weak if wrong.get("n") == issuer.jwk(weak, "", "RS256")["n"] else issuer.rsa
        assert ask(issuer.token(key=signer, header={"kid": "weak"})).status_code == 400
    keys.forget()
    issuer.keys = [issuer.jwk(issuer.rsa, "twice", "RS256")] * 2
    assert ask(issuer.token(header={"kid": "twice"})).status_code == 400


def test_claims_beyond_the_subject_pin_a_repository_whose_name_was_taken_over(people: People, robot: User, issuer):
    trusted(people, robot, claims={"repository_id": "74"})
    assert ask(issuer.token(repository_id="75")).status_code == 400
    assert ask(issuer.token(repository_id=74)).status_code == 400
    assert ask(issuer.token()).status_code == 200


def test_what_the_issuer_signed_and_is_refused_is_on_record_and_strangers_leave_no_trace(issuer: Issuer, trust):
    ask(issuer.token(key=other_rsa()))
    ask("a.b.c")
    assert not AuditEvent.objects.filter(event="exchange:refused").exists()
    ask(issuer.token(sub="repo:evil/x:ref:refs/heads/main"))
    event = AuditEvent.objects.get(event="exchange:refused")
    assert json.loads(event.entry)["payload"] == {"issuer": "github", "reason": "foreign"}


def test_scopes_narrow_and_never_widen(issuer: Issuer, trust):
    assert ask(issuer.token(), scope="read").json()["scope"] == "read"
    wide = ask(issuer.token(), scope="read export")
    assert (wide.status_code, wide.json()["error"]) == (400, "invalid_scope")


def test_two_systems_that_trust_one_job_need_a_name(people: People, robot: User, issuer: Issuer):
    trusted(people, robot)
    trusted(people, robot, system=people.other)
    token = issuer.token()
    unsure = ask(token)
    assert (unsure.status_code, unsure.json()["error"]) == (400, "invalid_target")
    ours = ask(token, audience="other").json()["access_token"]
    assert authenticate_token(ours).system == people.other


@pytest.mark.parametrize(
    "change",
    [{"grant_type": "client_credentials"}, {"subject_token_type": "x"}, {"subject_token": ""}, {"actor_token": "x"},
     {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}],
)  # fmt: skip
def test_a_request_that_is_none_says_what_would_be_right(issuer: Issuer, trust, change: dict[str, str]):
    answer = ask(**({"token": issuer.token()} | change)) if "subject_token" not in change else ask("")
    assert answer.status_code == 400
    assert answer.json()["error"] in ("unsupported_grant_type", "invalid_request")
    assert Client().get("/oauth/token").status_code == 405


def test_a_revoked_trust_gives_nothing_more_and_ends_what_it_gave(people: People, issuer: Issuer, trust):
    ours = ask(issuer.token()).json()["access_token"]
    with pytest.raises(DeniedError):
        services.revoke(acting_user=people.engineer, row=trust)
    services.revoke(acting_user=people.admin, row=trust)
    assert authenticate_token(ours) is None
    assert ask(issuer.token()).status_code == 400
    with pytest.raises(ConflictError):
        services.revoke(acting_user=people.admin, row=trust)


def test_a_service_without_its_role_or_deactivated_can_do_nothing(people: People, robot: User, issuer, trust):
    User.objects.filter(pk=robot.pk).update(is_active=False)
    assert ask(issuer.token()).status_code == 400
    User.objects.filter(pk=robot.pk).update(is_active=True)
    robot.grants.update(revoked_at="2026-01-01T00:00:00Z")
    ours = ask(issuer.token()).json()["access_token"]
    assert not access.allowed(authenticate_token(ours).user, Action.VIEW, people.system)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject": "repo:*"}, "subject"),
        ({"subject": "repo:octo-org/*:ref:refs/heads/main"}, "subject"),
        ({"subject": "*"}, "subject"),
        ({"subject": ""}, "subject"),
        ({"issuer": "elsewhere"}, "issuer"),
        ({"scopes": ["root"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": 61}, "minutes"),
        ({"claims": {"a": 1}}, "claims"),
    ],
)
def test_a_trust_that_is_too_wide_or_senseless_is_refused(people: People, robot: User, issuer, change, field):
    with pytest.raises(InvalidError) as refused:
        trusted(people, robot, **change)
    assert refused.value.field == field


def test_nobody_lets_a_workload_act_as_a_person_or_in_a_system_that_is_not_theirs_to_give(people, robot, issuer):
    with pytest.raises(InvalidError, match="a person cannot"):
        trusted(people, people.validator)
    with pytest.raises(DeniedError):
        services.trust(
            acting_user=people.engineer,
            service=robot,
            system=people.system,
            issuer="github",
            subject=MAIN,
            scopes=["run"],
        )


@pytest.mark.parametrize(
    ("pattern", "subject", "fitting"),
    [
        ("repo:o/r:ref:refs/heads/*", "repo:o/r:ref:refs/heads/main", True),
        ("repo:o/r:ref:refs/heads/*", "repo:o/r:ref:refs/heads/a/b", True),
        ("repo:o/r:*", "repo:o/r:ref:refs/heads/main", False),
        ("repo:o/r:*", "repo:o/r:pull_request", True),
        ("repo:o/r:environment:prod", "repo:o/r:environment:prod", True),
        ("repo:o/r:environment:prod", "repo:o/r:environment:production", False),
        ("repo:o.o/r:x", "repo:oxo/r:x", False),
    ],
)
def test_a_star_is_anything_but_a_colon(pattern: str, subject: str, fitting: bool):
    assert jwt.fits(pattern, subject) is fitting


# ------------------------------------------------------------------------------------------------ fetching the keys


def test_keys_are_fetched_once_and_again_only_for_a_new_key_and_not_for_made_up_ones(
    issuer: Issuer, trust, monkeypatch
):
    for _ in range(3):
        assert ask(issuer.token()).status_code == 200
    assert issuer.asked.count("/jwks") == 1
    for number in range(10):
        ask(issuer.token(header={"kid": f"made-up-{number}"}))
    assert issuer.asked.count("/jwks") == 1
    fresh = other_rsa()
    issuer.keys = [issuer.jwk(fresh, "rsa-2", "RS256")]
    monkeypatch.setattr(keys, "AGAIN_SECONDS", 0)
    assert ask(issuer.token(key=fresh, header={"kid": "rsa-2"})).status_code == 200
    assert ask(issuer.token()).status_code == 400


def test_an_issuer_that_is_away_means_try_again_and_known_keys_go_on_for_a_day(issuer: Issuer, trust, monkeypatch):
    issuer.down = True
    answer = ask(issuer.token())
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    issuer.down = False
    keys.forget()
    assert ask(issuer.token()).status_code == 200
    issuer.down = True
    monkeypatch.setattr(keys, "KEPT_SECONDS", -1)
    monkeypatch.setattr(keys, "AGAIN_SECONDS", 0)
    assert ask(issuer.token()).status_code == 200
    monkeypatch.setattr(keys, "STALE_SECONDS", -1)
    assert ask(issuer.token()).status_code == 503


@pytest.mark.parametrize("discovery", [{"issuer": "https://evil.example"}, {"jwks_uri": "http://192.0.2.1/jwks"},
                                       {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": ""}])  # fmt: skip
def test_a_discovery_document_of_another_or_without_https_is_not_followed(issuer: Issuer, trust, discovery):
    issuer.discovery = discovery
    assert ask(issuer.token()).status_code == 503


@pytest.mark.parametrize("path", ["/redirected", "/huge", "/nothing"])
def test_keys_behind_a_redirect_or_too_large_are_not_read(issuer: Issuer, trust, settings, path: str):
    config = {"kind": "github", "issuer": issuer.url, "jwks_uri": issuer.url + path}
    settings.WORKLOAD_ISSUERS = {"github": config}
    with pytest.raises(UnavailableError):
        keys.keys_of(keys.issuers()["github"], "rsa-1")


def test_in_production_keys_never_come_over_http(issuer: Issuer, trust, settings):
    settings.PRODUCTION = True
    with pytest.raises(UnavailableError):
        keys.keys_of(keys.issuers()["github"], "rsa-1")


def test_a_kubernetes_service_account(people: People, robot: User, issuer: Issuer, settings):
    config = {"kind": "kubernetes", "issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
    settings.WORKLOAD_ISSUERS = {"cluster": config}
    subject = "system:serviceaccount:ml:trainer"
    with pytest.raises(InvalidError):
        trusted(people, robot, issuer="cluster", subject="system:serviceaccount:*:trainer")
    trusted(people, robot, issuer="cluster", subject=subject)
    bound = {"kubernetes.io": {"namespace": "ml", "serviceaccount": {"name": "trainer"}}}
    assert ask(issuer.token(sub=subject, jti=None, **bound)).status_code == 200
    assert ask(issuer.token(sub="system:serviceaccount:ml:trainer2")).status_code == 400


def test_the_endpoint_is_throttled_by_address(issuer: Issuer, trust):
    answers = [ask("a.b.c").status_code for _ in range(62)]
    assert answers == [400] * 60 + [429] * 2
    assert ask(issuer.token(), client=Client(REMOTE_ADDR="192.0.2.9")).status_code == 200
