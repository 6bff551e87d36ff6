"""Provider ``pkcs11``: an AES key in a hardware security module. Needs requirements-pkcs11.txt and the maker's module.

Source: OASIS PKCS #11 v3.0, CKM_AES_GCM (§2.12.2 of the current mechanisms). The key is found by its label, must be a
CKO_SECRET_KEY of 256 bits that may encrypt and decrypt, and should be neither extractable nor changeable. The nonce is
12 random bytes from this machine, in front of the ciphertext; a module that insists on nonces of its own is not served.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pkcs11
from pkcs11 import GCMParams, Mechanism, ObjectClass
from pkcs11 import exceptions as errors

from security.vault.providers.contract import KeyRef, NoSuchKeyError, NotGenuineError, ProviderAwayError, WrappedKey

_NONCE_BYTES, _TAG_BITS = 12, 128
# What a module says to a ciphertext that does not verify; SoftHSM answers CKR_GENERAL_ERROR.
_FORGED = (
    errors.EncryptedDataInvalid,
    errors.EncryptedDataLenRange,
    errors.DataInvalid,
    errors.DataLenRange,
    errors.GeneralError,
)


class Pkcs11:
    """One session with one token, opened when it is first needed and again after an error; one call at a time."""

    def __init__(self, name: str, *, module: str, token: str, pin: str, key: str) -> None:
        self._name, self._module, self._token, self._pin, self._key = name, module, token, pin, key
        self._lock = threading.Lock()
        self._session: Any = None
        self._process = 0

    def __repr__(self) -> str:
        return f"Pkcs11({self._name!r}, token={self._token!r}, key={self._key!r})"

    def current(self) -> KeyRef:
        self._with_key(self._key, lambda key: key.label)
        return KeyRef(self._name, self._key, "")

    def wrap(self, data_key: bytes, *, associated_data: bytes) -> WrappedKey:
        nonce = os.urandom(_NONCE_BYTES)
        parameters = GCMParams(nonce, associated_data, _TAG_BITS)
        sealed = self._with_key(
            self._key, lambda key: key.encrypt(data_key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        )
        return WrappedKey(KeyRef(self._name, self._key, ""), nonce + bytes(sealed))

    def unwrap(self, wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
        nonce, sealed = wrapped.blob[:_NONCE_BYTES], wrapped.blob[_NONCE_BYTES:]
        if len(sealed) <= _TAG_BITS // 8:
            raise self._not_genuine()
        parameters = GCMParams(nonce, associated_data, _TAG_BITS)

        def decrypted(key: Any) -> bytes:
            try:
                return bytes(key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))
            except _FORGED:
                raise self._not_genuine() from None

        return bytes(self._with_key(wrapped.ref.key_id, decrypted))

    def _with_key(self, label: str, act: Callable[[Any], Any]) -> Any:
        """What ``act`` makes of the key, in our session; an error of the module ends the session."""
        with self._lock:
            try:
                session = self._opened()
                return act(session.get_key(object_class=ObjectClass.SECRET_KEY, label=label))
            except errors.NoSuchKey:
                raise NoSuchKeyError(f"the token of key provider {self._name!r} has no key {label!r}") from None
            except errors.MultipleObjectsReturned:
                raise NoSuchKeyError(
                    f"the token of key provider {self._name!r} has several keys {label!r}; labels must be unique"
                ) from None
            except (errors.PKCS11Error, RuntimeError, OSError) as error:
                self._session = None
                raise ProviderAwayError(
                    f"key provider {self._name!r} does not answer ({type(error).__name__}): check module, token and PIN"
                ) from None

    def _opened(self) -> Any:
        """The session of this process; one that was inherited by a fork is not ours."""
        if self._session is None or self._process != os.getpid():
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            try:
                self._session = token.open(user_pin=self._pin)
            except errors.UserAlreadyLoggedIn:  # another session of this process logged the application in
                self._session = token.open()
            self._process = os.getpid()
        return self._session

    def _not_genuine(self) -> NotGenuineError:
        return NotGenuineError(f"a data key wrapped by {self._name!r} does not verify")
