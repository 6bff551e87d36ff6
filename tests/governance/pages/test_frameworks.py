"""Pages and calls of frameworks: catalogues, the matrix, signing on a control; and texts that want to be markup."""

from __future__ import annotations

import json
from datetime import timedelta

import jsonschema_rs
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from governance.frameworks.models import Attestation, Catalogue, Withdrawal
from governance.frameworks.services.catalogues import import_catalogue
from security.access.table import Role
from security.identity.models import User
from tests.governance.pages.conftest import Login
from tests.support.api import Api
from tests.support.catalogues import attest_body, attested, builtin, control, large, small
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People
from tests.support.real_data import reference

HOSTILE = '<script>alert(1)</script>"onmouseover="x {{ 7|add:7 }} =cmd()'
PAGE = ("system-control", ["credit", "nist-ai-rmf", "govern-4.1"])


def upload(document: object, name: str = "catalogue.json") -> SimpleUploadedFile:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return SimpleUploadedFile(name, content, "application/json")


def signing(**more: str) -> dict[str, str]:
    until = (timezone.now() + timedelta(days=30)).date().isoformat()
    return {"statement": "met", "text": "We practise it.", "valid_until": until, "password": PASSWORD, **more}


@pytest.fixture
def catalogue(db: None) -> Catalogue:
    return builtin()


# ------------------------------------------------------------------------------------------------------ catalogues


def test_an_empty_installation_says_how_to_fill_it_and_an_administrator_does(people: People, login: Login):
    page = login(people.auditor).get(reverse("frameworks")).content.decode()
    assert "manage.py import_catalogue --builtin" in page
    assert "needs the role admin" in page
    assert login(people.admin).post(reverse("framework-load")).status_code == 302
    page = login(people.auditor).get(reverse("frameworks")).content.decode()
    assert "NIST AI Risk Management Framework 1.0" in page
    assert "airmf-to-iso-42001" in page


def test_a_catalogue_comes_in_as_a_file_and_goes_out_as_it_came(people: People, login: Login):
    document = large(1200)
    answer = login(people.admin).post(reverse("framework-import"), {"file": upload(document), "key": "big"})
    assert answer.status_code == 302
    assert answer["Location"] == reverse("framework", args=["big"])
    out = login(people.nobody).get(reverse("framework-oscal", args=["big"]))
    assert json.loads(out.content) == document
    assert out["Content-Disposition"] == 'attachment; filename="big-1.oscal.json"'
    schema = json.loads(reference("oscal/oscal_catalog_schema_1.2.1.json").read_text())
    assert jsonschema_rs.validator_for(schema).is_valid(json.loads(out.content))


def test_what_is_wrong_with_a_file_is_shown_with_its_place(people: People, login: Login):
    client, address = login(people.admin), reverse("framework-import")
    answer = client.post(address, {"file": upload(small(control("c-1"), control("c-1")))})
    assert answer.status_code == 422
    assert "/catalog/groups/0/controls/1/id" in answer.content.decode()
    for content in (b"not json", b"[" * 5000, b'{"catalog": 1}', b"\xff\xfe"):
        assert client.post(address, {"file": upload(content)}).status_code == 422
    assert client.post(address, {}).status_code == 422
    assert not Catalogue.objects.exists()


def test_the_command_imports_and_says_what_is_wrong(db: None, tmp_path, capsys):
    file = tmp_path / "house.json"
    file.write_text(json.dumps(small()))
    call_command("import_catalogue", str(file), "--key", "house")
    assert "Imported House rules 1 as house, 1 controls." in capsys.readouterr().out
    call_command("import_catalogue", "--builtin")
    assert Catalogue.objects.count() == 5
    file.write_text(json.dumps(small(control("c-1", extra=1), version="2")))
    with pytest.raises(CommandError, match="/catalog/groups/0/controls/0/extra is not known here"):
        call_command("import_catalogue", str(file))
    for arguments in ([], [str(file), "--builtin"], [str(tmp_path / "absent")]):
        with pytest.raises(CommandError):
            call_command("import_catalogue", *arguments)
    assert Catalogue.objects.count() == 5


def test_text_of_a_catalogue_or_a_person_never_becomes_markup(people: People, login: Login):
    hostile = control(
        "c-1",
        HOSTILE,
        props=[{"name": "label", "value": HOSTILE}],
        parts=[{"name": "statement", "title": HOSTILE, "prose": HOSTILE}],
    )
    document = small(hostile, title=HOSTILE)
    document["catalog"]["groups"][0]["title"] = HOSTILE
    import_catalogue(acting_user=people.admin, document=document, key="hostile", source=HOSTILE)
    attested(people.owner, people.system, HOSTILE, key="hostile", text=HOSTILE)
    client = login(people.owner)
    addresses = [reverse("frameworks"), reverse("framework", args=["hostile"])]
    addresses += [reverse("framework-control", args=["hostile", "c-1"])]
    addresses += [reverse("system-framework", args=["credit", "hostile"])]
    addresses += [reverse("system-control", args=["credit", "hostile", "c-1"])]
    for address in addresses:
        page = client.get(address).content.decode()
        assert "<script>alert" not in page, address
        assert '"onmouseover="' not in page, address
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, address


# ---------------------------------------------------------------------------------------------------------- matrix


def test_the_matrix_shows_my_systems_only_and_each_mark_leads_to_its_control(
    people: People, login: Login, catalogue: Catalogue
):
    make_model_version(people.system, people.engineer)
    attested(people.owner, people.system, "GOVERN 4.1")
    page = login(people.auditor).get(reverse("framework", args=[catalogue.key])).content.decode()
    assert page.count('class="mark tone-') == 72 + 5  # and the legend
    cell = 'href="/systems/credit/frameworks/nist-ai-rmf/controls/govern-4.1/" class="mark tone-pass" title="Satisfied"'
    assert cell in page
    assert "/systems/other/" not in page
    assert "/systems/other/" in login(people.outsider).get(reverse("framework", args=[catalogue.key])).content.decode()
    assert "No system" in login(people.nobody).get(reverse("framework", args=[catalogue.key])).content.decode()


def test_the_matrix_narrows_to_a_part_and_to_a_state(people: People, login: Login, catalogue: Catalogue):
    attested(people.owner, people.system, "MEASURE 1.2")
    client, address = login(people.owner), reverse("framework", args=[catalogue.key])

    def controls(**query: str) -> list[str]:
        return [line["control"].label for line in client.get(address, query).context["lines"]]

    assert len(controls(group="measure")) == 22
    assert controls(state="satisfied") == ["MEASURE 1.2"]
    assert controls(group="govern", state="satisfied") == []
    assert len(controls(group="made up", state="made up")) == 72
    assert "Nothing fits" in client.get(address, {"q": "no such system"}).content.decode()


def test_a_control_leads_to_its_sources_and_a_matrix_says_what_comes_through_a_crosswalk(
    people: People, login: Login, catalogue: Catalogue
):
    attested(people.owner, people.system, "GOVERN 1.1")
    client = login(people.owner)
    assert 'class="mark tone-pass via"' in client.get(reverse("framework", args=["iso-42001"])).content.decode()
    page = client.get(reverse("framework-control", args=["iso-42001", "a.2.4"])).content.decode()
    assert reverse("framework-control", args=["nist-ai-rmf", "govern-1.1"]) in page
    page = client.get(reverse("system-control", args=["credit", "iso-42001", "a.2.4"])).content.decode()
    assert "Satisfied (via)" in page
    assert reverse("system-control", args=["credit", "nist-ai-rmf", "govern-1.1"]) in page


@pytest.mark.parametrize("name", ["framework", "framework-control", "system-framework", "system-control"])
def test_a_page_takes_as_many_queries_for_many_rows_as_for_few(
    people: People, login: Login, catalogue: Catalogue, name: str
):
    arguments = {"framework": ["nist-ai-rmf"], "framework-control": ["nist-ai-rmf", "govern-4.1"]}
    arguments |= {"system-framework": ["credit", "nist-ai-rmf"], "system-control": PAGE[1]}
    address, client = reverse(name, args=arguments[name]), login(people.admin)

    def fill(start: int, stop: int) -> None:
        for number in range(start, stop):
            make_model_version(people.system, people.engineer, name=f"model-{number}")
            system = people.make_system(f"s-{number}")
            attested(people.make(f"o-{number}", "O", Role.OWNER, system), system, "GOVERN 4.1")
            attested(people.owner, people.system, "GOVERN 4.1")

    def queries() -> int:
        client.get(address)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address).status_code == 200
        return len(seen)

    fill(0, 2)
    few = queries()
    fill(2, 9)
    assert queries() <= few <= 40


# --------------------------------------------------------------------------------------------------------- signing


def test_a_person_signs_and_withdraws_on_the_page(people: People, login: Login, catalogue: Catalogue):
    client, page = login(people.owner), reverse(PAGE[0], args=PAGE[1])
    before = client.get(page).content.decode()
    assert "A person’s word" in before
    assert "That it does not apply is signed by somebody else" in before
    assert client.post(f"{page}attest/", signing()).status_code == 302
    signed = Attestation.objects.get()
    assert (signed.text, signed.valid_until.time().isoformat()) == ("We practise it.", "23:59:59")
    after = client.get(page).content.decode()
    assert "Satisfied" in after
    assert "Olga Owner" in after
    address = reverse("attestation-withdraw", args=[signed.pk])
    assert client.post(address, {"reason": "Not any more.", "password": PASSWORD}).status_code == 302
    assert Withdrawal.objects.get().reason == "Not any more."
    assert "Withdrawn by Olga Owner" in client.get(page).content.decode()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"password": "wrong"}, 403),
        ({"text": ""}, 422),
        ({"statement": ""}, 422),
        ({"statement": "not-applicable"}, 403),
        ({"valid_until": "yesterday"}, 422),
        ({"valid_until": "2001-01-01"}, 422),
    ],
)
def test_a_refused_signature_keeps_what_was_written_and_never_the_password(
    people: People, login: Login, catalogue: Catalogue, change: dict[str, str], status: int
):
    address = reverse("system-attest", args=PAGE[1])
    answer = login(people.owner).post(address, signing(**change))
    page = answer.content.decode()
    assert answer.status_code == status
    assert ("We practise it." in page) == ("text" not in change)
    assert PASSWORD not in page
    assert not Attestation.objects.exists()


def test_whoever_may_not_sign_is_told_who_can(people: People, login: Login, catalogue: Catalogue):
    page = login(people.engineer).get(reverse(PAGE[0], args=PAGE[1])).content.decode()
    assert "needs the role validator or risk officer or owner" in page
    assert "Olga Owner" in page
    assert "Sign this statement" not in page


def test_what_is_not_there_is_not_found(people: People, login: Login, catalogue: Catalogue):
    client = login(people.owner)
    for name, arguments in (
        ("framework", ["absent"]),
        ("framework-control", ["nist-ai-rmf", "absent"]),
        ("system-framework", ["credit", "absent"]),
        ("system-framework", ["other", "nist-ai-rmf"]),
        ("system-control", ["credit", "nist-ai-rmf", "absent"]),
    ):
        assert client.get(reverse(name, args=arguments)).status_code == 404, arguments


# ------------------------------------------------------------------------------------------------------------- API


def session(user: User) -> Api:
    return Api(user, session=True)


def test_an_administrator_imports_by_call_and_reads_it_back(people: People):
    admin = session(people.admin)
    answer = admin.post("catalogues?key=house&source=wiki", small())
    assert (answer.status_code, answer.json()["key"], answer.json()["current"]) == (201, "house", True)
    assert admin.post("catalogues?key=house", small()).status_code == 200
    assert admin.get(f"catalogues/{answer.json()['id']}/oscal").json() == small()
    found = admin.get(f"catalogues/{answer.json()['id']}/controls").json()
    assert [(row["id"], row["group"]) for row in found["results"]] == [("c-1", "g1")]
    refused = admin.post("catalogues", small(control("c-1"), control("c-1")))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "/catalog/groups/0/controls/1/id"


def test_a_person_signs_by_call_and_a_token_does_not(people: People, catalogue: Catalogue):
    assert Api(people.owner).post("attestations", attest_body()).status_code == 403
    made = session(people.owner).post("attestations", attest_body())
    assert (made.status_code, made.json()["status"], made.json()["printed_name"]) == (201, "in-force", "Olga Owner")
    body = {"reason": "No longer.", "password": PASSWORD}
    address = f"attestations/{made.json()['id']}/withdraw"
    assert Api(people.owner).post(address, body).status_code == 403
    ended = session(people.validator).post(address, body)
    assert (ended.json()["status"], ended.json()["withdrawn_by"]) == ("withdrawn", "Vera Validator")
    assert Api(people.auditor).get("attestations", withdrawn="true", control="govern-1.1").json()["count"] == 1
    assert Api(people.auditor).get("attestations", withdrawn="false").json()["count"] == 0
    assert Api(people.outsider).get("attestations").json()["count"] == 0


def test_the_matrix_and_the_coverage_by_call_say_the_same(people: People, catalogue: Catalogue):
    version = make_model_version(people.system, people.engineer)
    attested(people.owner, people.system, "GOVERN 4.1")
    auditor = Api(people.auditor)
    [row] = auditor.get(f"catalogues/{catalogue.pk}/matrix").json()["results"]
    rows = auditor.get("systems/credit/coverage", page_size=200).json()["results"]
    assert row["states"] == {one["control"]["id"]: one["state"] for one in rows}
    assert row["counts"]["satisfied"] == list(row["states"].values()).count("satisfied")
    [word] = auditor.get("systems/credit/coverage", state="satisfied", page_size=200).json()["results"][:1]
    assert word["state"] == "satisfied"
    by_id = {one["control"]["id"]: one for one in rows}
    assert by_id["govern-4.1"]["attestation"]["printed_name"] == "Olga Owner"
    speaking = by_id["measure-2.7"]["evidence"]
    assert {(one["model_version"]["id"], one["verdict"]) for one in speaking} == {(str(version.pk), "pass")}
    own = auditor.get(f"model-versions/{version.pk}/controls", page_size=200).json()["results"]
    assert {one["control"]["id"]: one["state"] for one in own} == row["states"]
    iso = auditor.get("systems/credit/coverage", catalogue="iso-42001", page_size=200).json()["results"]
    assert any(one["via_crosswalk"] and one["via"] for one in iso)


def test_a_call_takes_as_many_queries_for_many_words_as_for_few(people: People, catalogue: Catalogue):
    client = Client()
    client.force_login(people.auditor)

    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address).status_code == 200
        return len(seen)

    addresses = ["/api/v1/systems/credit/coverage", "/api/v1/attestations"]
    attested(people.owner, people.system, "GOVERN 1.1")
    for address in addresses:
        client.get(address)  # what is written once a while
    few = [queries(address) for address in addresses]
    for label in ("GOVERN 1.2", "GOVERN 4.1", "GOVERN 4.2", "MAP 1.1"):
        attested(people.owner, people.system, label)
    assert [queries(address) for address in addresses] == few
