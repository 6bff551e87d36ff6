"""Whom to trust about a log: its keys, the witnesses, and how many of them must agree (C2SP tlog-policy). Pure.

log <vkey> [<url>]
witness <name> <vkey> [<url>]
group <name> all|any|<k> <name>...
quorum <name>|none
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from security.log.notes import COSIGNATURE, ED25519, NoteError, Verifier

NONE = "none"
MAX_BYTES = 256 * 1024
_BLANK = re.compile("[ \t]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_DECIMAL = re.compile("[1-9][0-9]{0,5}", re.ASCII)


class PolicyError(ValueError):
    """A trust policy that does not follow the specification; the text names the line."""


@dataclass(frozen=True)
class Witness:
    """A witness under its name in the policy; ``url`` is its submission prefix, empty where none is needed."""

    name: str
    verifier: Verifier
    url: str = ""


@dataclass(frozen=True)
class Group:
    """Witnesses or groups of which at least ``threshold`` must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Known logs and witnesses, and the quorum that a checkpoint needs; by default nobody, and nobody needed."""

    logs: tuple[Verifier, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))
    quorum: str = NONE

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The witnesses' keys."""
        return tuple(witness.verifier for witness in self.witnesses)

    def satisfied(self, cosigners: Collection[Verifier]) -> bool:
        """Whether witnesses with these keys, whose cosignatures were verified, make the quorum (tlog-policy)."""
        if self.quorum == NONE:
            return True
        present = {witness.name for witness in self.witnesses if witness.verifier in cosigners}
        for group in self.groups.values():  # in the order of the file: members stand before their group
            if len(present & set(group.members)) >= group.threshold:
                present.add(group.name)
        return self.quorum in present

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """The policy of a file. Names are opaque octets, as the specification has them. Raises PolicyError."""
        if len(data) > MAX_BYTES or _CONTROL.search(data):
            raise PolicyError(f"a policy has no control characters in it and at most {MAX_BYTES} bytes")
        reading = _Reading()
        for number, line in enumerate(data.decode(errors="surrogateescape").split("\n"), 1):
            words = _BLANK.split(line.strip(" \t"))
            if words == [""] or words[0].startswith("#"):
                continue
            try:
                reading.line(*words)
            except (PolicyError, NoteError) as error:
                raise PolicyError(f"line {number}: {error}") from error
        return reading.policy()


class _Reading:
    """What has been read of a policy so far."""

    def __init__(self) -> None:
        self.logs: list[Verifier] = []
        self.witnesses: list[Witness] = []
        self.groups: dict[str, Group] = {}
        self.names: set[str] = set()
        self.members: set[str] = set()
        self.quorum: str | None = None

    def line(self, kind: str, *words: str) -> None:
        reads = {"log": self._log, "witness": self._witness, "group": self._group, "quorum": self._quorum}
        if kind not in reads:
            raise PolicyError("a line begins with log, witness, group or quorum")
        reads[kind](words)

    def policy(self) -> Policy:
        if self.quorum is None:
            raise PolicyError("a policy has exactly one quorum line; “quorum none” needs no witness")
        groups = MappingProxyType(self.groups)
        return Policy(tuple(self.logs), tuple(self.witnesses), groups, self.quorum)

    def _log(self, words: tuple[str, ...]) -> None:
        if len(words) not in (1, 2):
            raise PolicyError("a log line has the form: log <vkey> [<url>]")
        verifier = _verifier(words[0], ED25519)
        if any(known.public == verifier.public for known in self.logs):
            raise PolicyError("a log with this key is there already")
        self.logs.append(verifier)

    def _witness(self, words: tuple[str, ...]) -> None:
        if len(words) not in (2, 3):
            raise PolicyError("a witness line has the form: witness <name> <vkey> [<url>]")
        name, vkey, *url = words
        verifier = _verifier(vkey, COSIGNATURE)
        if any(known.verifier.public == verifier.public for known in self.witnesses):
            raise PolicyError("a witness with this key is there already")
        self._name(name)
        self.witnesses.append(Witness(name, verifier, *url))

    def _group(self, words: tuple[str, ...]) -> None:
        if len(words) < 3:
            raise PolicyError("a group line has the form: group <name> all|any|<k> <name>...")
        name, wanted, *members = words
        unknown = set(members) - self.names
        if unknown or len(set(members)) != len(members) or self.members & set(members):
            raise PolicyError("the members of a group are defined on lines before, and each is a member only once")
        threshold = {"all": len(members), "any": 1}.get(wanted) or _threshold(wanted, len(members))
        self._name(name)
        self.members.update(members)
        self.groups[name] = Group(name, threshold, tuple(members))

    def _quorum(self, words: tuple[str, ...]) -> None:
        if len(words) != 1 or self.quorum is not None:
            raise PolicyError("there is one line: quorum <name>")
        if words[0] not in self.names | {NONE}:
            raise PolicyError("the quorum is a witness or group defined on a line before, or none")
        self.quorum = words[0]

    def _name(self, name: str) -> None:
        if name in self.names or name == NONE:
            raise PolicyError("every witness and group has a name of its own, and none is no name")
        self.names.add(name)


def _verifier(vkey: str, algorithm: int) -> Verifier:
    verifier = Verifier.parse(vkey)
    if verifier.algorithm != algorithm:
        raise PolicyError(
            f"the key {verifier.name} has the signature type 0x{verifier.algorithm:02x}, "
            f"where 0x{algorithm:02x} is needed"
        )
    return verifier


def _threshold(text: str, members: int) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) > members:
        raise PolicyError(f"of {members} members, 1 to {members} are needed, all or any")
    return int(text)
