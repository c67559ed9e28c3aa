"""How an API server is known, and how we are known to it, where a kubeconfig says so."""

from __future__ import annotations

import os
import ssl
from typing import Any

from bundler.core.errors import UsageError


def api_context(
    authority: bytes | None, certificate: bytes | None, name: str | None
) -> ssl.SSLContext:
    """What TLS to an API server is made with; the server's certificate is always checked.

    `authority` are the only certificates to trust, in PEM; without them it is those of the system
    (SSL_CERT_FILE and SSL_CERT_DIR count). `certificate` is ours with its key, in PEM. `name` is
    what the server's certificate must be for, where it isn't the host of the URL. UsageError for
    PEM that can't be used.
    """
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    judge_as_go_does(context)
    try:
        if authority is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=authority.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise UsageError("certificate-authority: expected certificates in PEM") from error
    if certificate is not None:
        _load_own(context, certificate)
    return context


def judge_as_go_does(context: ssl.SSLContext) -> None:
    """Trust in `context` what kubectl and Docker trust by the same authorities, on any Python."""
    # An authority that is named is trusted, also where it is an intermediate one and its root
    # isn't named. Python does so from 3.13 on.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Extensions (RFC 5280) that sites' own authorities often lack; Python 3.13 asks for them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT


class _NamedContext(ssl.SSLContext):
    """Expects `name` of a server, whatever host it was connected to: httpx has no such setting
    that also counts behind a proxy."""

    name: str | None = None

    def wrap_socket(
        self,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        name = self.name or server_hostname
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session
        )

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        name = self.name or server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, name, session)


def _load_own(context: ssl.SSLContext, certificate: bytes) -> None:
    # Python reads a key from files alone; this one is in memory, and gone when it is closed.
    held = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(held, certificate)
        # A key with a password would be asked for on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{held}", password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError(
            "client-certificate, client-key: expected a certificate and its key in PEM, "
            "without a password"
        ) from error
    finally:
        os.close(held)
