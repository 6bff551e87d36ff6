"""What verdicts and states look like, and which places the navigation names: tables, and how they are read."""

from __future__ import annotations

from typing import NamedTuple

from security.measurement import Verdict


class Look(NamedTuple):
    """How a state or verdict shows: its colour class, its sign in the sprite and its word."""

    tone: str
    sign: str
    word: str


VERDICTS = {
    Verdict.PASS: Look("pass", "pass", "Pass"),
    Verdict.FAIL: Look("fail", "fail", "Fail"),
    Verdict.INCONCLUSIVE: Look("inconclusive", "inconclusive", "Inconclusive"),
}

STATES = {
    # runs and steps
    "waiting": Look("open", "clock", "Waiting"),
    "pending": Look("open", "clock", "Pending"),
    "queued": Look("open", "clock", "Queued"),
    "running": Look("accent", "turning", "Running"),
    "cancelling": Look("accent", "turning", "Cancelling"),
    "succeeded": Look("pass", "check", "Succeeded"),
    "reused": Look("pass", "reuse", "Reused"),
    "failed": Look("fail", "cross", "Failed"),
    "timed_out": Look("fail", "clock", "Timed out"),
    "cancelled": Look("neutral", "stop", "Cancelled"),
    "skipped": Look("neutral", "dash", "Skipped"),
    # reviews, approvals, votes
    "draft": Look("open", "ring", "Draft"),
    "open": Look("accent", "ring", "Open"),
    "closed": Look("neutral", "check", "Closed"),
    "in-review": Look("accent", "ring", "In review"),
    "approve": Look("pass", "check", "Approve"),
    "approved": Look("pass", "check", "Approved"),
    "reject": Look("fail", "cross", "Reject"),
    "rejected": Look("fail", "cross", "Rejected"),
    "published": Look("pass", "check", "Published"),
    "withdrawn": Look("neutral", "dash", "Withdrawn"),
    "active": Look("pass", "check", "Active"),
    "void": Look("fail", "warning", "Void"),
    "requested": Look("accent", "ring", "Requested"),
    "revoke": Look("fail", "cross", "Revoke"),
    "close": Look("neutral", "dash", "Close"),
    "suspended": Look("inconclusive", "warning", "Suspended"),
    "revoked": Look("fail", "cross", "Revoked"),
    "expired": Look("neutral", "clock", "Expired"),
    "superseded": Look("neutral", "dash", "Superseded"),
    # deliveries
    "delivered": Look("pass", "check", "Delivered"),
}


class Place(NamedTuple):
    """One entry of the navigation: its word, the URL it reverses to, and its sign."""

    word: str
    view: str
    sign: str


PLACES = (
    Place("Home", "home", "home"),
    Place("Systems", "systems", "systems"),
    Place("Pipelines", "pipelines", "pipelines"),
    Place("Runs", "runs", "runs"),
    Place("Models", "models", "models"),
    Place("Reviews", "reviews", "reviews"),
    Place("Policies", "policies", "evidence"),
    Place("Inbox", "inbox", "info"),
    Place("Audit", "audit", "audit"),
    Place("People", "people", "people"),
    Place("Settings", "settings", "settings"),
)


def look_of_state(state: object) -> Look:
    """The look of a state; one that the table does not know shows its own name, in no verdict's colour."""
    name = str(state or "")
    return STATES.get(name) or Look("open", "ring", name.replace("_", " ").capitalize() or "Unknown")


def look_of_verdict(verdict: object) -> Look:
    """The look of a verdict; empty or unknown is never a pass."""
    return _BY_NAME.get(str(verdict or ""), _NO_VERDICT)


_BY_NAME = {str(name): look for name, look in VERDICTS.items()}
_NO_VERDICT = Look("open", "dash", "No verdict")
