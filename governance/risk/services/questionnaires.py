"""Publishing questionnaires."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from governance.risk import selectors
from governance.risk.models import QuestionnaireVersion
from governance.risk.questionnaire import Questionnaire, builtin, read
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError
from security.identity import second_factor
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


def publish(*, acting_user: User, text: str) -> QuestionnaireVersion:
    """Publish the questionnaire in ``text`` (YAML or JSON) as the next version; no earlier one changes.

    What was answered under an earlier version stays on record, but no longer lowers a tier.

    Raises DeniedError, InvalidError (text), ConflictError (it is the current one already, or somebody published
    another at the same moment).
    """
    access.require(acting_user, Action.PUBLISH_QUESTIONNAIRE)
    second_factor.require_enrolled(acting_user)
    wanted = read(text)
    now = selectors.current_questionnaire()
    if now is not None and now.digest == wanted.digest:
        raise ConflictError(f"This is version {now.number} already, word for word; nothing was published.")
    try:
        return _publish(wanted, acting_user, after=now.number if now else 0)
    except IntegrityError:
        raise ConflictError("Somebody published another version at this moment: read it, then decide.") from None


def ensure_one() -> QuestionnaireVersion:
    """The current version; where there is none yet, the questionnaire that this release ships becomes version 1."""
    found = selectors.current_questionnaire()
    if found is not None:
        return found
    try:
        return _publish(builtin(), None, after=0)
    except IntegrityError:  # somebody else was faster
        return QuestionnaireVersion.objects.order_by("-number")[0]


@transaction.atomic
def _publish(wanted: Questionnaire, acting_user: User | None, *, after: int) -> QuestionnaireVersion:
    version = QuestionnaireVersion.objects.create(
        number=after + 1, digest=wanted.digest, content=wanted.content(), published_by=acting_user
    )
    record(
        Event.QUESTIONNAIRE_PUBLISHED,
        acting_user=acting_user,
        subject=urn("questionnaire-version", version.pk),
        payload={"number": version.number, "digest": version.digest},
    )
    return version
