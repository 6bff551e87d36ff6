"""The download of a signature's statement."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from governance.selectors.statements import statements
from security.access import selectors as access
from security.access.table import Action
from security.forms import user_of
from security.signing import dsse
from security.vault import services as vault


@login_required
@require_safe
def statement(request: HttpRequest, pk: str) -> HttpResponse:
    """The DSSE envelope of one signature, verified as it is read."""
    found = access.get(user_of(request), Action.VIEW, statements(), pk=pk)
    answer = HttpResponse(vault.read(found), content_type=dsse.MEDIA_TYPE)
    answer["Content-Disposition"] = f'attachment; filename="signature-{found.digest[:12]}.dsse.json"'
    answer["Cache-Control"] = "private, no-store"
    return answer
