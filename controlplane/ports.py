"""Addresses that the pages are served at."""

from __future__ import annotations

import socket

from django.core.management.base import CommandError

_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a person types to reach it


def address(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    shown = _ANY.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def require_free(host: str, port: int) -> None:
    """Raise CommandError, with what to do, when the port cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CommandError(
                f"Port {port} on {host} cannot be used ({reason}); choose another with --port."
            ) from None
