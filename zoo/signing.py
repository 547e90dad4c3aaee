"""Signatures of folders and of statements, by people's own keys and certificates
(docs/evidence.md).

A signature is a bundle of OpenSSF Model Signing: an in-toto statement in a DSSE envelope. What a
folder's signature says of its files is held against them here. Making one, and whether a key or a
certificate bears one out, is the library's business (`mixzoo[sign]`), imported once it is asked.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from . import files
from .errors import IntegrityError, UsageError, several, wall
from .looks import printable, shortened
from .shelf import files_below
from .verify import Finding, State

SIGNATURE = "model.sig"
UNSIGNED = (".git", ".gitattributes", ".cache")  # what git and the hub's client keep in a folder
FOLDER = "https://model_signing/signature/v1.0"  # the library's predicate
STATEMENT = "https://in-toto.io/Statement/v1"
MAX_BYTES = 64 << 20  # of one signature
INSTALL = "pip install 'mixzoo[sign]'"
AGAIN = "It isn't a signature as it was written; get it again."
PRIVATE = "Expected a PEM private key on the curve P-256, P-384 or P-521; see docs/evidence.md."
PUBLIC = "Expected a public key (openssl pkey -in KEY -pubout) or a certificate, as PEM."


@dataclass(frozen=True)
class Signature:
    """A signature that was read.

    by: who says to have signed; empty where the library isn't installed. trusted: whether the key
    or certificate that was named bears that out. statement: in-toto's. files: of a folder's
    signature, the sha256 of each file by its path.
    """

    by: str
    trusted: bool = False
    statement: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """Who signed, and what that is worth."""
        if self.trusted:
            return f"is signed by {self.by}"
        if not self.by:
            return f"is signed, which wasn't checked: that takes {INSTALL}"
        return (
            f"says that it is signed by {self.by}; that wasn't held against a key or certificate "
            "that you trust (--signed-by FILE)"
        )


class Signer:
    """Signs by a private key. Raises UsageError for what can't sign.

    certificate: a PEM file of the key's certificate, then of those between it and its authority's.
    password: of a key without a certificate.
    """

    def __init__(
        self, key: Path, certificate: Path | None = None, password: str | None = None
    ) -> None:
        hashing, signing = _library("hashing").Config(), _library("signing").Config()
        hashing.set_ignored_paths(paths=[SIGNATURE, *UNSIGNED], ignore_git_paths=False)
        self._config, self._certificate = signing.set_hashing_config(hashing), certificate
        with wall(UsageError, key, PRIVATE):
            if certificate:
                chain = {"signing_certificate": certificate, "certificate_chain": [certificate]}
                self._config.use_certificate_signer(private_key=key, **chain)
            else:
                secret = password.encode() if password else None
                self._config.use_elliptic_key_signer(private_key=key, password=secret)

    def sign_folder(self, folder: Path) -> Signature:
        """Write the signature of all files of a folder into it, and read it as others will.

        Raises UsageError, OSError, and IntegrityError for a certificate that may not sign.
        """
        folder = folder.resolve()  # whose name is signed too
        with self._writing(folder / SIGNATURE) as part:
            self._config.sign(folder, part)
        return read(folder / SIGNATURE, self._certificate, FOLDER)

    def sign_statement(self, statement: dict[str, Any], path: Path) -> None:
        """Write a signed statement. Raises UsageError, OSError."""
        from google.protobuf.json_format import ParseDict
        from in_toto_attestation.v1.statement_pb2 import Statement  # pyright: ignore

        with self._writing(path) as part:  # the library has no public name for other statements
            payload = SimpleNamespace(pb=ParseDict(statement, Statement()))
            self._config._signer.sign(SimpleNamespace(statement=payload)).write(part)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        to_do = "A folder to sign holds files and folders alone."
        with wall(UsageError, path.parent, to_do, (OSError,)), files.becoming(path) as part:
            yield part


def check(folder: Path, signed_by: Path | None = None) -> Signature | None:
    """Who signed a folder, None if nobody did.

    signed_by: a PEM file, of the public key that must have signed, or of the certificate that must
    have signed or must vouch for the one that did. Raises IntegrityError where files differ from
    those signed, where the signature doesn't hold, or where one is asked for and there is none;
    UsageError for what is no such PEM file.
    """
    path = folder / SIGNATURE
    if not os.path.lexists(path):
        if signed_by:
            raise IntegrityError(
                f"{folder}: isn't signed; expected a signature by {signed_by}. Ask whom it is from "
                "for a signed copy."
            )
        return None
    if not (signed_by or find_spec("model_signing")):
        return Signature("")
    found = read(path, signed_by, FOLDER)
    with wall(IntegrityError, path, AGAIN):
        resources = found.statement["predicate"]["resources"]
        signed = {one["name"]: one["digest"] for one in resources}
    if differences := [shortened(one, 200) for one in _differences(folder, signed)]:
        raise IntegrityError(
            f"{folder}: isn't what was signed: {printable(several(differences))}. Get it again; if "
            "it is yours and you changed it, sign it again."
        )
    return replace(found, files=signed)


def finding(folder: Path, signed_by: Path | None) -> Finding:
    """What a folder is by its signature; `signed_by` and what is raised are those of `check`."""
    found = check(folder, signed_by)
    state = State.VERIFIED if found and found.trusted else State.HERE
    return Finding(folder, state, None, found.said if found else "isn't signed: nothing to compare")


def read(path: Path, signed_by: Path | None = None, kind: str | None = None) -> Signature:
    """A signed statement from its file.

    signed_by: as `check` takes it. kind: the type that its predicate must have. Raises
    IntegrityError if it can't be read or doesn't hold, UsageError for what is no key and no
    certificate.
    """
    parser = _library("_signing.sign_sigstore_pb").Signature
    files.content_of(path, MAX_BYTES)
    with wall(IntegrityError, path, AGAIN):
        signature = parser.read(path)
        by = _signer_in(signature.bundle.verification_material)
        payload = signature.bundle.dsse_envelope.payload
    if signed_by:
        payload = _borne_out(signature, signed_by, f"{path}: says that it is signed by {by}, and")
    with wall(IntegrityError, path, AGAIN):
        statement = json.loads(payload)
        for name, expected in (("_type", STATEMENT), ("predicateType", kind)):
            if expected and statement[name] != expected:
                raise ValueError(f"expected {name} {expected}, got {statement[name]}")
    return Signature(by, signed_by is not None, statement)


def _signer_in(material: Any) -> str:
    """Who a bundle says to have signed, in words."""
    from cryptography import x509

    if material.public_key:
        if not re.fullmatch("[0-9a-f]{64}", hint := str(material.public_key.hint)):
            raise ValueError("expected the sha256 of a public key")
        return f"key {hint}"
    chain = material.x509_certificate_chain
    raw = (chain.certificates[0] if chain else material.certificate).raw_bytes
    certificate = x509.load_der_x509_certificate(raw)
    name = certificate.subject.rfc4514_string({x509.NameOID.EMAIL_ADDRESS: "emailAddress"})
    if not name:  # as Sigstore's own certificates
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        name = ", ".join(str(one.value) for one in names.value)
    return f"{shortened(printable(name), 200)} (certificate {hashlib.sha256(raw).hexdigest()})"


def _differences(folder: Path, signed: Mapping[str, str]) -> Iterator[str]:
    """Where a folder's files aren't those signed, by path."""
    here = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    del here[SIGNATURE]
    yield from (f"{name} isn't here" for name in sorted(signed.keys() - here.keys()))
    for name, path in here.items():
        if name not in signed:
            if name.partition("/")[0] not in UNSIGNED:
                yield f"{name} wasn't signed"
        elif not path.is_file() or files.sha256_of(path) != signed[name]:
            yield f"{name} was changed"


def _borne_out(signature: Any, signed_by: Path, says: str) -> bytes:
    """What was signed, if the key or certificate named bears the signature out."""
    from OpenSSL.crypto import X509StoreFlags

    logging.getLogger("model_signing").setLevel(logging.ERROR)  # what it warns of ends in an error
    config = _library("verifying").Config()
    with wall(UsageError, signed_by, PUBLIC):
        certified = b"BEGIN CERTIFICATE" in signed_by.read_bytes()
        if certified:
            config.use_certificate_verifier(certificate_chain=[signed_by])
            config._verifier._store.set_flags(X509StoreFlags.PARTIAL_CHAIN)  # not roots alone
        else:
            config.use_elliptic_key_verifier(public_key=signed_by)
    material = signature.bundle.verification_material
    with wall(IntegrityError, f"{says} {signed_by} doesn't bear that out", "Don't trust it."):
        if not (material.x509_certificate_chain if certified else material.public_key):
            raise ValueError(f"that is a {'certificate' if certified else 'key'}, it isn't by one")
        return config._verifier._verify_signed_content(signature)[1]


def _library(part: str) -> Any:
    """A module of the library. Raises UsageError where it isn't installed."""
    try:
        return import_module(f"model_signing.{part}")
    except ImportError:
        raise UsageError(
            f"Signatures take the package model-signing, which isn't installed. Run: {INSTALL}"
        ) from None
