"""A signed folder is held to every byte, and nobody is trusted who wasn't named."""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.zoo import signing
from mixzoo.zoo.errors import IntegrityError, MixzooError, UsageError

pytest.importorskip("model_signing", reason="needs mixzoo[sign]")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")

Keys = dict[str, Path]
COUNT = int(os.environ.get("MIXZOO_EDITS", "100"))  # `make edits`: 1,000


def pem(key, password: bytes | None = None) -> bytes:
    lock = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def public(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def certificate(
    key, name: str, issuer, issuer_name: str, *, signs: bool = True
) -> x509.Certificate:
    """Of a key, by an issuer. signs: whether it may sign more than certificates."""
    named = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)])
        for one in (name, issuer_name)
    ]
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named[0])
        .issuer_name(named[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))  # of yesterday: signatures outlive certificates
        .add_extension(x509.BasicConstraints(ca=not signs, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=signs, key_cert_sign=not signs, **usage), critical=True
        )
        .sign(issuer, hashes.SHA256())
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Files of keys and certificates by name: ada, eve; grace by a lab's authority."""
    folder = tmp_path_factory.mktemp("keys")
    made = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ada", "grace", "lab")}
    made["eve"] = ec.generate_private_key(ec.SECP384R1())
    of_grace = certificate(made["grace"], "Grace\nHopper", made["lab"], "The lab")
    of_ada = certificate(made["ada"], "Ada", made["ada"], "Ada")
    of_lab = certificate(made["lab"], "The lab", made["lab"], "The lab", signs=False)
    files = {f"{name}.key": pem(key) for name, key in made.items()}
    files |= {f"{name}.pub": public(key) for name, key in made.items()}
    for name, one in (("ada", of_ada), ("grace", of_grace), ("lab", of_lab)):
        files[f"{name}.crt"] = one.public_bytes(serialization.Encoding.PEM)
    files |= {
        "locked.key": pem(made["ada"], b"hush"),
        "rsa.key": pem(rsa.generate_private_key(65537, 2048)),
        "ed.key": pem(ed25519.Ed25519PrivateKey.generate()),
        "none": b"not a key",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in files}


def fill(folder: Path) -> Path:
    """A folder as a repository is one."""
    rng = random.Random(0)
    for name in (
        "README.md",
        "w.safetensors",
        "evidence/row/report.json",
        "evidence/row/model.sig",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(rng.randbytes(200))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "repository")


def by_ada(folder: Path, keys: Keys) -> Path:
    signing.Signer(keys["ada.key"]).sign_folder(folder)
    return folder


def test_who_signed_is_said(folder: Path, keys: Keys) -> None:
    """By a key that was named; of one that wasn't it is said that nothing was held against it."""
    by_ada(folder, keys)

    named, unnamed = signing.check(folder, keys["ada.pub"]), signing.check(folder)

    sum_of_file = signing.files.sha256_of(keys["ada.pub"])
    assert named.trusted
    assert named.said == f"is signed by key {sum_of_file}"
    assert not unnamed.trusted
    assert "wasn't held against a key" in unnamed.said


@pytest.mark.parametrize("name", ["grace.crt", "lab.crt"])
def test_a_certificate_names_its_holder(folder: Path, keys: Keys, name: str) -> None:
    """By itself or by its authority's; a name can't break the line."""
    signing.Signer(keys["grace.key"], keys["grace.crt"]).sign_folder(folder)

    found = signing.check(folder, keys[name])

    assert found.trusted
    assert found.by.startswith("CN=Grace Hopper (certificate ")


@pytest.mark.parametrize(
    ("signer", "by"),
    [
        ("ada", "eve.pub"), ("ada", "ada.crt"), ("grace", "ada.crt"), ("grace", "grace.pub"),
        ("grace", "eve.pub"),
    ],
)  # fmt: skip
def test_nobody_else_is_trusted(folder: Path, keys: Keys, signer: str, by: str) -> None:
    """Another key, another certificate, or a key where a certificate signed."""
    chain = keys["grace.crt"] if signer == "grace" else None
    signing.Signer(keys[f"{signer}.key"], chain).sign_folder(folder)

    with pytest.raises(IntegrityError, match=r"says that it is signed by .* Don't trust it\.$"):
        signing.check(folder, keys[by])


def test_no_signature_is_an_error_where_one_is_demanded(folder: Path, keys: Keys) -> None:
    """Else it is none."""
    assert signing.check(folder) is None

    with pytest.raises(IntegrityError, match="isn't signed"):
        signing.check(folder, keys["ada.pub"])


@pytest.mark.parametrize("name", ["rsa.key", "ed.key", "none", "ada.pub", "locked.key"])
def test_what_cannot_sign_is_one_line(keys: Keys, name: str) -> None:
    """Which says what can."""
    with pytest.raises(UsageError, match=r"^[^\n]*P-256, P-384 or P-521[^\n]*$"):
        signing.Signer(keys[name])


@pytest.mark.parametrize("name", ["none", "ada.key", "rsa.key"])
def test_what_names_nobody_is_one_line(folder: Path, keys: Keys, name: str) -> None:
    """A private key by mistake."""
    with pytest.raises(UsageError, match=r"^[^\n]*Expected a public key[^\n]*$"):
        signing.check(by_ada(folder, keys), keys[name])


def test_a_certificate_that_may_not_sign_is_told_at_once(folder: Path, keys: Keys) -> None:
    """Before anybody else meets it."""
    with pytest.raises(IntegrityError, match="cannot be used for signing"):
        signing.Signer(keys["lab.key"], keys["lab.crt"]).sign_folder(folder)


def test_a_password_opens_a_key(folder: Path, keys: Keys) -> None:
    """The one that it has."""
    signing.Signer(keys["locked.key"], password="hush").sign_folder(folder)

    assert signing.check(folder, keys["ada.pub"]).trusted


def test_a_link_is_not_signed(folder: Path, keys: Keys) -> None:
    """What it leads to may be another file tomorrow."""
    (folder / "link").symlink_to(keys["ada.key"])

    with pytest.raises(UsageError, match="files and folders alone"):
        by_ada(folder, keys)

    assert not (folder / signing.SIGNATURE).exists()


def swap(folder: Path, rng: random.Random) -> None:
    one, other = rng.sample(files_in(folder), 2)
    (content, another) = one.read_bytes(), other.read_bytes()
    one.write_bytes(another)
    other.write_bytes(content)


def flip(folder: Path, rng: random.Random) -> None:
    path = rng.choice(files_in(folder))
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def files_in(folder: Path) -> list[Path]:
    """All that is signed."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in (signing.SIGNATURE, *signing.UNSIGNED)
    ]


def rename(folder: Path, rng: random.Random) -> None:
    path = rng.choice(files_in(folder))
    path.rename(path.with_name(path.name + rng.choice("x~ ")))


EDITS: list[Callable[[Path, random.Random], object]] = [
    flip,
    flip,
    flip,
    swap,
    rename,
    lambda folder, rng: rng.choice(files_in(folder)).unlink(),
    lambda folder, rng: os.truncate(rng.choice(files_in(folder)), rng.randrange(200)),
    lambda folder, rng: (folder / f"{rng.random()}").write_bytes(b""),
    lambda folder, rng: (folder / "evidence" / f"{rng.random()}").symlink_to(folder),
    lambda folder, rng: (folder / ".gitignore").write_text(f"{rng.random()}"),
    lambda folder, rng: (folder / "evidence" / ".git").write_text(f"{rng.random()}"),
]


def test_every_edit_is_found(tmp_path: Path, keys: Keys) -> None:
    """Whether a key was named or not; intact copies aren't accused, though git left its files."""
    whole = by_ada(fill(tmp_path / "whole"), keys)
    for seed in range(COUNT):
        rng = random.Random(seed)
        copy = shutil.copytree(whole, tmp_path / f"{seed}")
        for name in rng.sample((".gitattributes", ".git/HEAD", ".cache/huggingface/x"), 2):
            (copy / name).parent.mkdir(exist_ok=True, parents=True)
            (copy / name).write_bytes(rng.randbytes(20))
        os.utime(copy / "README.md", (seed, seed))
        assert signing.check(copy, keys["ada.pub"]).trusted
        assert not signing.check(copy).trusted

        EDITS[seed % len(EDITS)](copy, rng)

        for signed_by in (keys["ada.pub"], None):
            with pytest.raises(IntegrityError, match="isn't what was signed"):
                signing.check(copy, signed_by)
        shutil.rmtree(copy)


def test_an_edited_signature_vouches_for_nothing_else(tmp_path: Path, keys: Keys) -> None:
    """Any bit of it: what is still believed is the same statement by the same key."""
    folder = by_ada(fill(tmp_path / "whole"), keys)
    path = folder / signing.SIGNATURE
    whole, said = path.read_bytes(), signing.check(folder, keys["ada.pub"])
    rng = random.Random(0)
    for _ in range(3 * COUNT):
        content = bytearray(whole)
        content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            found = signing.check(folder, keys["ada.pub"])
        except IntegrityError:
            continue
        assert found == said


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=9).map(
        lambda raw: base64.b64encode(raw).decode()
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["verificationMaterial", "publicKey", "hint", "dsseEnvelope", "payload",
                         "certificate", "x509CertificateChain", "certificates", "rawBytes"]),
        inner, max_size=4,
    ),
    max_leaves=12,
), st.booleans())  # fmt: skip
def test_any_json_is_one_line(tmp_path: Path, keys: Keys, content, demanded: bool) -> None:
    """Signatures come from strangers: no exception of another kind passes, nothing is believed."""
    (tmp_path / signing.SIGNATURE).write_text(json.dumps(content))

    with pytest.raises(MixzooError, match=r"^[^\n]+$"):
        signing.check(tmp_path, keys["ada.pub"] if demanded else None)


def test_a_statement_of_another_kind_signs_no_folder(folder: Path, keys: Keys) -> None:
    """A signed verdict in the place of the folder's signature."""
    said = {
        "_type": signing.STATEMENT,
        "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {"resources": []},
    }
    signing.Signer(keys["ada.key"]).sign_statement(said, folder / signing.SIGNATURE)

    with pytest.raises(IntegrityError, match="expected predicateType"):
        signing.check(folder, keys["ada.pub"])
    assert signing.read(folder / signing.SIGNATURE, keys["ada.pub"]).statement == said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
@pytest.mark.parametrize("name", ["model.sig", "README.md"])
def test_a_pipe_is_not_waited_for(folder: Path, keys: Keys, name: str) -> None:
    """In the place of the signature or of a file."""
    by_ada(folder, keys)
    (folder / name).unlink()
    os.mkfifo(folder / name)

    with pytest.raises(IntegrityError):
        signing.check(folder)


def test_the_library_itself_agrees(folder: Path, keys: Keys) -> None:
    """Its own command takes our signature, and we take the one that it makes."""
    sign_with = [sys.executable, "-m", "model_signing"]
    signature = ["--signature", folder / signing.SIGNATURE]
    by_ada(folder, keys)

    subprocess.run(
        [*sign_with, "verify", "key", folder, *signature, "--public_key", keys["ada.pub"]],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / signing.SIGNATURE).unlink()
    subprocess.run(
        [*sign_with, "sign", "key", folder, *signature, "--private_key", keys["ada.key"]],
        check=True, capture_output=True,
    )  # fmt: skip

    assert signing.check(folder, keys["ada.pub"]).trusted


@pytest.mark.parametrize("hint", [None, "", "x", "\n" + "0" * 64])
def test_a_signature_that_names_no_key_is_refused(folder: Path, keys: Keys, hint) -> None:
    """The library would take it, with a warning among what is printed."""
    path = by_ada(folder, keys) / signing.SIGNATURE
    bundle = json.loads(path.read_text())
    bundle["verificationMaterial"]["publicKey"]["hint"] = hint
    path.write_text(json.dumps(bundle))

    with pytest.raises(IntegrityError, match=r"the sha256 of a public key|It isn.t a sig"):
        signing.check(folder, keys["ada.pub"])


def test_names_of_strangers_stay_on_their_line(folder: Path, keys: Keys) -> None:
    """What isn't here is named by the signature."""
    (folder / "a\n\x1b[2J").touch()
    by_ada(folder, keys)
    (folder / "a\n\x1b[2J").rename(folder / ("b\n" * 100))

    with pytest.raises(IntegrityError) as told:
        signing.check(folder)

    assert str(told.value).isprintable()
    assert len(str(told.value)) < 800


def test_sigstores_own_signer_is_named(folder: Path, keys: Keys) -> None:
    """Its bundles hold one certificate by itself; it is for that library to trust it."""
    signing.Signer(keys["ada.key"], keys["ada.crt"]).sign_folder(folder)
    path = folder / signing.SIGNATURE
    bundle = json.loads(path.read_text())
    material = bundle["verificationMaterial"]
    material["certificate"] = material.pop("x509CertificateChain")["certificates"][0]
    path.write_text(json.dumps(bundle))

    assert signing.check(folder).by.startswith("CN=Ada (certificate ")
    with pytest.raises(IntegrityError, match="isn't by one"):
        signing.check(folder, keys["ada.crt"])


def test_without_the_library_one_line_says_what_to_install(
    folder: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a signature is made or demanded; where it only is there, it is said to be unchecked."""
    by_ada(folder, keys)
    for name in [*sys.modules, "model_signing"]:
        if name.partition(".")[0] == "model_signing":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(signing, "find_spec", lambda name: None)

    for act in (
        lambda: signing.Signer(keys["ada.key"]),
        lambda: signing.check(folder, keys["ada.pub"]),
    ):
        with pytest.raises(UsageError, match=r"pip install 'mixzoo\[sign\]'$"):
            act()

    assert signing.check(folder).said.startswith(
        "is signed, which wasn't checked: that takes pip install"
    )
