"""Registering a specification on the page: upload or paste, errors at their lines, nothing lost."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from pipelines.models import Pipeline, PipelineVersion
from pipelines.spec.loading import MAX_BYTES
from tests.pipelines.pages.conftest import SMALL, Login
from tests.support.people import People

NEW = "/pipelines/new/"


def upload(client: Client, people: People, content: bytes, **more: str):
    file = SimpleUploadedFile("spec.yaml", content, content_type="application/yaml")
    return client.post(NEW, {"system": people.system.pk, "file": file, **more})


def test_a_file_becomes_a_version_and_its_page_shows_it(erin: Client, people: People):
    answer = upload(erin, people, SMALL.encode())
    version = PipelineVersion.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == reverse("pipeline-version", args=[version.pk])
    page = erin.get(answer["Location"]).content.decode()
    assert "small version 1 is registered" in page
    assert version.digest in page
    assert 'id="L1"' in page
    assert "test.misbehave@1" in page


def test_pasted_text_with_a_browsers_line_ends_is_the_same_version_as_the_file(erin: Client, people: People):
    upload(erin, people, SMALL.encode())
    answer = erin.post(NEW, {"system": people.system.pk, "text": SMALL.replace("\n", "\r\n")}, follow=True)
    assert "Nothing changed: this is version 1" in answer.content.decode()
    assert PipelineVersion.objects.count() == 1


def test_errors_stand_at_line_column_step_and_parameter_with_the_text_kept(erin: Client, people: People):
    wrong = SMALL.replace("inputs: {table: first.table}", "inputs: {table: frist.table}").replace(
        "amount: 1", "amount: much"
    )
    answer = upload(erin, people, wrong.encode())
    assert answer.status_code == 422
    assert Pipeline.objects.count() == 0
    page = answer.content.decode()
    errors = answer.context["errors"]
    assert len(errors) == 2
    for error in errors:
        assert f"Line {error['line']}, column {error['column']}" in page
        assert f"<code>{error['step']}</code>" in page
        assert f"<code>{error['parameter']}</code>" in page
        assert f'id="L{error["line"]}" class="wrong"' in page
    assert "did you mean" in page
    assert answer.context["form"]["text"].value() == wrong  # the file's text can be mended where it stands
    assert "frist.table" in page


def test_a_file_over_the_limit_is_refused_at_its_field_without_being_read(erin: Client, people: People):
    answer = upload(erin, people, b"a" * (MAX_BYTES + 1), text="kept")
    assert answer.status_code == 422
    assert "1,048,577 bytes; a specification has at most 1,048,576" in answer.context["form"].errors["file"][0]
    assert answer.context["form"]["text"].value() == "kept"


def test_nothing_at_all_is_asked_for(erin: Client, people: People):
    answer = erin.post(NEW, {"system": people.system.pk})
    assert answer.context["form"].errors["file"] == ["Choose a file, or paste the text below."]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x07", b"- [", b"a: &x 1\nb: *x\n", b"\x00" * 100, b" "])
def test_no_content_is_an_error_of_the_server(erin: Client, people: People, content: bytes):
    answer = upload(erin, people, content)
    assert answer.status_code == 422
    assert Pipeline.objects.count() == 0


def test_markup_in_a_specification_is_text(erin: Client, people: People):
    title = SMALL.replace("Small pipeline", "<script>alert(1)</script>")
    answer = erin.post(NEW, {"system": people.system.pk, "text": title}, follow=True)
    assert "<script>alert" not in answer.content.decode()
    assert "&lt;script&gt;alert" in answer.content.decode()


def test_only_systems_where_one_may_register_can_be_chosen(erin: Client, people: People, login: Login):
    answer = erin.post(NEW, {"system": people.other.pk, "text": SMALL})
    assert "system" in answer.context["form"].errors
    assert login(people.risk_officer).get(NEW).status_code == 403
    assert Pipeline.objects.count() == 0


def test_two_versions_stand_side_by_side(erin: Client, people: People):
    for text in (SMALL, SMALL.replace("amount: 1}", "amount: 2}")):
        erin.post(NEW, {"system": people.system.pk, "text": text})
    pipeline = Pipeline.objects.get()
    answer = erin.get(reverse("pipeline-compare", args=[pipeline.pk]))
    assert (answer.context["old"].number, answer.context["new"].number) == (1, 2)
    assert [change.path for change in answer.context["changes"]] == ["steps.second.with.amount"]
    page = answer.content.decode()
    assert "<mark>2</mark>" in page
    turned = erin.get(reverse("pipeline-compare", args=[pipeline.pk]), {"from": 2, "to": 1})
    assert (turned.context["changes"][0].before, turned.context["changes"][0].after) == (2, 1)
    assert erin.get(reverse("pipeline-compare", args=[pipeline.pk]), {"from": 7}).status_code == 404


def test_a_new_version_begins_with_the_text_of_the_last(erin: Client, people: People):
    upload(erin, people, SMALL.encode())
    answer = erin.get(NEW, {"version": PipelineVersion.objects.get().pk})
    assert answer.context["form"]["text"].value() == SMALL
