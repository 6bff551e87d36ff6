"""The closed list of what can happen: ``subject:action``."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    # identity and access
    USER_CREATED = "user:created"
    USER_DEACTIVATED = "user:deactivated"
    USER_SIGNED_IN = "user:signed-in"
    USER_SIGN_IN_FAILED = "user:sign-in-failed"
    USER_LOCKED_OUT = "user:locked-out"
    ADDRESS_THROTTLED = "address:throttled"
    USER_SIGNED_OUT = "user:signed-out"
    SESSION_ENDED = "session:ended"
    USER_PASSWORD_CHANGED = "user:password-changed"  # noqa: S105 - the name of an event
    USER_PASSWORD_RESET = "user:password-reset"  # noqa: S105 - the name of an event
    ACCOUNT_LINKED = "account:linked"
    ACCOUNT_UNLINKED = "account:unlinked"
    SECOND_FACTOR_ADDED = "second-factor:added"
    SECOND_FACTOR_REMOVED = "second-factor:removed"
    SECOND_FACTOR_FAILED = "second-factor:failed"
    RECOVERY_CODES_MADE = "recovery-codes:made"
    TOKEN_CREATED = "token:created"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token:revoked"  # noqa: S105 - the name of an event
    TOKEN_REFUSED = "token:refused"  # noqa: S105 - the name of an event
    TOKEN_EXCHANGED = "token:exchanged"  # noqa: S105 - the name of an event
    EXCHANGE_REFUSED = "exchange:refused"
    TRUST_CREATED = "trust:created"
    TRUST_REVOKED = "trust:revoked"
    SYSTEM_CREATED = "system:created"
    SYSTEM_CHANGED = "system:changed"
    ROLE_GRANTED = "role:granted"
    ROLE_REVOKED = "role:revoked"
    ROLE_EXPIRED = "role:expired"
    # the log itself
    PERSONAL_ERASED = "personal:erased"
    # the log itself
    STATEMENT_KEY_ANNOUNCED = "statement-key:announced"
    CHECKPOINT_REFUSED = "checkpoint:refused"
    # vault
    ARTIFACT_STORED = "artifact:stored"
    ARTIFACT_READ = "artifact:read"
    ARTIFACT_HEALED = "artifact:healed"
    ARTIFACT_DAMAGE_FOUND = "artifact:damage-found"
    ARTIFACT_DAMAGE_MENDED = "artifact:damage-mended"
    ARTIFACT_SHREDDED = "artifact:shredded"
    VAULT_KEY_ADDED = "vault-key:added"
    VAULT_KEYS_REWRAPPED = "vault-key:rewrapped"
    VAULT_KEY_RETIRED = "vault-key:retired"
    VAULT_ORPHANS_DELETED = "vault:orphans-deleted"
    # pipelines and runs
    PIPELINE_CREATED = "pipeline:created"
    PIPELINE_VERSION_REGISTERED = "pipeline-version:registered"
    RUN_CREATED = "run:created"
    RUN_STARTED = "run:started"
    RUN_SUCCEEDED = "run:succeeded"
    RUN_FAILED = "run:failed"
    RUN_CANCEL_REQUESTED = "run:cancel-requested"
    RUN_CANCELLED = "run:cancelled"
    RUN_RETRIED = "run:retried"
    STEP_STARTED = "step:started"
    STEP_SUCCEEDED = "step:succeeded"
    STEP_REUSED = "step:reused"
    STEP_FAILED = "step:failed"
    STEP_LOST = "step:lost"
    STEP_CANCELLED = "step:cancelled"
    EVIDENCE_RECORDED = "evidence:recorded"
    DATASET_VERSION_REGISTERED = "dataset-version:registered"
    MODEL_VERSION_REGISTERED = "model-version:registered"
    # governance
    POLICY_PUBLISHED = "policy:published"
    REVIEW_SUBMITTED = "review:submitted"
    REVIEW_WITHDRAWN = "review:withdrawn"
    REVIEW_REJECTED = "review:rejected"
    REVIEW_APPROVED = "review:approved"
    REVIEW_SUPERSEDED = "review:superseded"
    REVIEW_CHANGES_REQUESTED = "review:changes-requested"
    REVIEW_LAPSED = "review:lapsed"
    VOTE_CAST = "vote:cast"
    SIGNATURE_REFUSED = "signature:refused"
    SIGNATURE_BLOCKED = "signature:blocked"
    APPROVAL_ISSUED = "approval:issued"
    APPROVAL_REVOKED = "approval:revoked"
    APPROVAL_SUSPENDED = "approval:suspended"
    APPROVAL_REINSTATED = "approval:reinstated"
    APPROVAL_SUPERSEDED = "approval:superseded"
    CONDITION_SET = "condition:set"
    CONDITION_REPORTED = "condition:reported"
    CONDITION_RETURNED = "condition:returned"
    CONDITION_MET = "condition:met"
    GATE_ASKED = "gate:asked"
    EXPORT_CREATED = "export:created"
