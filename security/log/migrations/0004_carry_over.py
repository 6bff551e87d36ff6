"""Every event of the chain gets the place in the tree that it had in the chain, with the same leaf hash.

The chain is checked on the way: a damaged one is not carried over, since afterwards nobody could tell. The tree gets its
first signature from the sequencer, which has the key.
"""

import hashlib

from django.db import migrations

from security.log.identifiers import carried_over
from security.log.merkle import Frontier, leaf_hash
from security.log.tiles import HEIGHT

_EMPTY = hashlib.sha256(b"").hexdigest()
_BATCH = 2000


class DamagedChainError(RuntimeError):
    """The log of before does not verify."""


def carry_over(apps, schema_editor):
    alias = schema_editor.connection.alias
    model = lambda name: apps.get_model("log", name)._default_manager.using(alias)  # noqa: E731
    chain, frontier, rows = _EMPTY, Frontier(), []
    for old in model("ChainedEvent").order_by("index").iterator(chunk_size=_BATCH):
        leaf = leaf_hash(old.entry.encode())
        chain = hashlib.sha256(b"\x02" + bytes.fromhex(chain) + leaf).hexdigest()
        if (old.index, old.chain) != (frontier.size, chain):
            raise DamagedChainError(
                f"the audit log is damaged at entry {frontier.size}, so it is not carried over. Go back to the release "
                "before, run its verify_log, and compare the database with a backup."
            )
        rows.append((old, leaf, frontier.append(leaf)[1:]))
        if len(rows) == _BATCH:
            _store(apps, model, rows)
            rows = []
    head = model("LogHead").first()
    if head is not None and (head.size, head.chain) != (frontier.size, chain):
        raise DamagedChainError(
            f"the audit log ends after {frontier.size} entries, but {head.size} were recorded: it is not carried over. "
            "Go back to the release before, run its verify_log, and compare the database with a backup."
        )
    _store(apps, model, rows)


def _store(apps, model, rows):
    make = {name: apps.get_model("log", name) for name in ("AuditEvent", "Leaf", "Node")}
    model("AuditEvent").bulk_create(
        make["AuditEvent"](
            id=carried_over(old.index),
            time=old.time,
            event=old.event,
            actor=old.actor,
            subject=old.subject,
            system=old.system,
            entry=old.entry,
        )
        for old, *_ in rows
    )
    model("Leaf").bulk_create(
        make["Leaf"](index=old.index, event_id=carried_over(old.index), hash=leaf) for old, leaf, _ in rows
    )
    model("Node").bulk_create(
        make["Node"](level=node.level, index=node.index, hash=node.hash)
        for *_, above in rows
        for node in above
        if node.level % HEIGHT == 0
    )


class Migration(migrations.Migration):
    dependencies = [("log", "0003_outbox_and_tree")]
    operations = [migrations.RunPython(carry_over)]
