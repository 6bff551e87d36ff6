"""Provider ``kms``: AWS Key Management Service. Needs requirements-aws.txt.

Source: AWS KMS API reference, Encrypt, Decrypt, DescribeKey. What binds a data key to its object goes into the
encryption context, which CloudTrail records: it holds a random object name and nothing else. Credentials come the way
boto3 finds them (role, environment). KMS rotates the material behind one key id by itself, so there is no version; to
leave a key, name another one and run ``vault_rotate``.
"""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from security.vault.providers.contract import KeyRef, NoSuchKeyError, NotGenuineError, ProviderAwayError, WrappedKey

_CONTEXT = "countersign"
_GONE = frozenset({"NotFoundException", "DisabledException", "KMSInvalidStateException"})
_FORGED = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class Kms:
    """One symmetric key (id, ARN or alias) in one region; ``endpoint`` for a private or compatible service."""

    def __init__(self, name: str, *, key: str, region: str, endpoint: str = "") -> None:
        self._name, self._key = name, key
        config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2, "mode": "standard"})
        try:
            self._client: Any = boto3.client("kms", region_name=region, endpoint_url=endpoint or None, config=config)
        except (BotoCoreError, ValueError) as error:
            raise self._error(error) from None

    def current(self) -> KeyRef:
        answer = self._call("describe_key", KeyId=self._key)
        return KeyRef(self._name, str(answer["KeyMetadata"]["Arn"]), "")

    def wrap(self, data_key: bytes, *, associated_data: bytes) -> WrappedKey:
        answer = self._call("encrypt", KeyId=self._key, Plaintext=data_key, EncryptionContext=_context(associated_data))
        return WrappedKey(KeyRef(self._name, str(answer["KeyId"]), ""), bytes(answer["CiphertextBlob"]))

    def unwrap(self, wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
        answer = self._call(
            "decrypt",
            KeyId=wrapped.ref.key_id,
            CiphertextBlob=wrapped.blob,
            EncryptionContext=_context(associated_data),
        )
        return bytes(answer["Plaintext"])

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except (BotoCoreError, ClientError) as error:
            raise self._error(error) from None
        return answer

    def _error(self, error: Exception) -> Exception:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        if code in _FORGED:
            return NotGenuineError(f"a data key wrapped by {self._name!r} does not verify")
        if code in _GONE:
            return NoSuchKeyError(f"key provider {self._name!r} has no such key, or it is disabled ({code})")
        return ProviderAwayError(f"key provider {self._name!r} does not answer as it should ({code})")


def _context(associated_data: bytes) -> dict[str, str]:
    return {_CONTEXT: associated_data.decode("ascii")}
