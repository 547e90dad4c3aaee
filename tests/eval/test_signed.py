"""A row's evidence and a repository, signed: the verdict goes by itself, and edits are found."""

import base64
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from mixzoo.eval import evidence, signed
from mixzoo.eval.evaluate import Request, evaluate_refs
from mixzoo.eval.world import join
from mixzoo.zoo import signing
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import MixzooError

from ..emulator.hub_upload import Hub

pytest.importorskip("model_signing", reason="needs mixzoo[sign]")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult as Predicate
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message

from ..mini_rows import VANILLA as ROW
from ..zoo.test_signing import EDITS

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the hub's

PAGE = Path(__file__).parents[2] / "docs/evidence.md"
COUNT = int(os.environ.get("MIXZOO_EDITS", "40"))  # `make edits`: 1,000
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ada.key`, `ada.pub`, and the same of eve."""
    folder = tmp_path_factory.mktemp("keys")
    pem = serialization.Encoding.PEM
    for name in ("ada", "eve"):
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (folder / f"{name}.pub").write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return folder


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory, mini_images: Path) -> Path:
    """Evidence of a row, in a folder of evidence."""
    root = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch, join("cpu") as world:
        patch.setenv("MIXZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        evaluate_refs(Request(refs=(ROW,), data=mini_images, evidence=root), world, quiet=True)
    return root


@pytest.fixture
def root(unsigned: Path, keys: Path, tmp_path: Path) -> Path:
    """The same, signed by Ada, to be changed."""
    root = shutil.copytree(unsigned, tmp_path / "signed")
    assert list(signed.sign(root, signing.Signer(keys / "ada.key"), open_catalog()))
    return root


def test_who_signed_is_said_without_torch(root: Path, keys: Path) -> None:
    """By the command line."""
    code = (
        "import sys; from mixzoo.app.cli import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules, 'torch'"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "eval", "check", root, "--signed-by", keys / "ada.pub"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"intact[^\0]*The evidence is signed by key [0-9a-f]{64}\.", done.stdout)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 0, "says that it is signed by key"),
        (("--signed-by", "eve.pub"), 5, "Don't trust it"),
        (("--signed-by", "eve.key"), 2, "Expected a public key"),
        (("--signed-by", "nobody.pub"), 2, "does not exist"),
    ],
)
def test_a_signature_is_worth_what_was_named(
    mixzoo: Run, root: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, options, code, message
) -> None:
    """Nobody, another's key, and what is no public key."""
    monkeypatch.chdir(keys)

    got, out, err = mixzoo("eval", "check", root, *options)

    assert got == code
    assert message in out + err


def test_a_missing_signature_is_an_error_where_it_is_demanded(
    mixzoo: Run, unsigned: Path, keys: Path
) -> None:
    """And JSON says who signed."""
    assert mixzoo("eval", "check", unsigned, "--signed-by", keys / "ada.pub")[0] == 5
    _, out, _ = mixzoo("eval", "check", unsigned, "--json")

    assert json.loads(out)["evidence"][0]["signature"] is None


def test_the_statement_is_in_totos(root: Path) -> None:
    """Held against the types of that project's library, of statement and of predicate."""
    checked = evidence.check(root / ROW, open_catalog())

    said = signed.statement(checked)

    Statement.copy_from_pb(ParseDict(said, Message())).validate()
    predicate = ParseDict(said["predicate"], Predicate())
    for one in predicate.configuration:
        ResourceDescriptor.copy_from_pb(one).validate()
    named = {one.name: one.digest["sha256"] for one in predicate.configuration}
    assert said["predicateType"] == signed.TEST_RESULT
    assert said["subject"][0]["digest"]["sha256"] == checked.row.weights.sha256
    assert (predicate.result, predicate.passed_tests) == (
        "PASSED",
        ["reproduced", "matches its log"],
    )
    assert named["list"] == checked.report.data.list_sha256
    for name in ("head0.safetensors", "report.json", "evidence.json"):
        assert named[name] == signing.files.sha256_of(root / ROW / name)


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        ("reproduced", "PASSED"),
        ("close", "WARNED"),
        ("no published number", "WARNED"),
        ("not reproduced", "FAILED"),
    ],
)
def test_a_result_is_as_good_as_its_verdict(root: Path, verdict: str, result: str) -> None:
    """The predicate knows three words."""
    checked = evidence.check(root / ROW, open_catalog())
    row = msgspec.structs.replace(checked.row, verdict=verdict)
    report = msgspec.structs.replace(checked.report, rows=(row,))

    said = signed.statement(replace(checked, report=report))["predicate"]

    assert said["result"] == result
    assert verdict in said[f"{result.lower()}Tests"]


def test_a_verdict_that_the_evidence_does_not_give_is_found(
    mixzoo: Run, root: Path, keys: Path
) -> None:
    """Though Ada signed both."""
    signer = signing.Signer(keys / "ada.key")
    said = signed.statement(evidence.check(root / ROW, open_catalog()))
    said["subject"][0]["digest"]["sha256"] = "0" * 64
    signer.sign_statement(said, root / ROW / evidence.VERDICT)
    signer.sign_folder(root / ROW)

    code, _, err = mixzoo("eval", "check", root, "--signed-by", keys / "ada.pub")

    assert code == 5
    assert "another verdict than was signed" in err


def test_every_edit_of_signed_evidence_is_found(root: Path, keys: Path, tmp_path: Path) -> None:
    """Also of what the evidence's own hashes don't know; whoever signed. Intact, it isn't accused."""
    catalog = open_catalog()
    for seed in range(COUNT):
        folder = shutil.copytree(root / ROW, tmp_path / f"{seed}")
        (folder / "evidence").mkdir()  # where an edit may put something; an empty folder is nothing
        signed_by = (keys / "ada.pub") if seed % 2 else None
        if seed < 10:
            assert not signed.check(folder, catalog, signed_by).problems

        EDITS[seed % len(EDITS)](folder, random.Random(seed))

        try:
            problems = signed.check(folder, catalog, signed_by).problems
        except MixzooError as error:
            problems = (str(error),)
        assert problems, seed
        shutil.rmtree(folder)


def test_what_does_not_hold_is_not_signed(mixzoo: Run, root: Path, keys: Path) -> None:
    """Nor what is no evidence."""
    (root / ROW / "images.json").write_text((root / ROW / "images.json").read_text() + " ")

    code, out, err = mixzoo("sign", root, "--key", keys / "eve.key")
    other, _, told = mixzoo("sign", keys, "--key", keys / "eve.key")

    assert (code, out, other) == (5, "", 5)
    assert "wasn't signed" in err
    assert "mixzoo eval --evidence" in told


def test_evidence_written_again_is_unsigned(root: Path, unsigned: Path) -> None:
    """A signature of what stood there before would accuse it."""
    one = evidence.check(root / ROW, open_catalog())

    evidence.write(root, one.report, one.row, one.stored, judged_as=ROW)

    assert not {signing.SIGNATURE, evidence.VERDICT} & {p.name for p in (root / ROW).iterdir()}


def test_a_repository_is_signed_published_and_verified(
    mixzoo: Run, hub_server: Hub, root: Path, keys: Path, tmp_path: Path
) -> None:
    """What was signed arrives whole at a stranger's; what has changed since isn't uploaded."""
    folder, name = tmp_path / "mine", "jane/models"
    publish = ("zoo", "publish", ROW, "--repo", name, "--folder", folder)
    assert mixzoo(*publish, "--dry-run")[0] == 0
    shutil.copytree(root, folder / "evidence")
    assert mixzoo("sign", folder, "--key", keys / "ada.key")[0] == 0
    assert mixzoo(*publish)[0] == 0
    for path, content in hub_server.repos[name].files.items():
        (tmp_path / "theirs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / path).write_bytes(content)

    code, out, err = mixzoo("zoo", "verify", tmp_path / "theirs", "--signed-by", keys / "ada.pub")
    (folder / "evidence" / "note").write_text("new")
    refused, _, why = mixzoo(*publish)

    assert code == 0, err
    assert "signed by key" in out
    assert refused == 5
    assert "evidence/note wasn't signed" in why


def test_published_evidence_keeps_who_signed_it(
    mixzoo: Run, root: Path, keys: Path, tmp_path: Path
) -> None:
    """Ada evaluated, Eve publishes; built again, the folder is the same."""
    folder = tmp_path / "mine"
    publish = ("zoo", "publish", ROW, "--repo", "jane/models", "--folder", folder, "--dry-run")
    publish = (*publish, "--evidence", root)
    assert mixzoo(*publish)[0] == 0

    code, out, err = mixzoo("sign", folder, "--key", keys / "eve.key")
    again, _, why = mixzoo(*publish)

    [inner] = [path.parent for path in folder.rglob(evidence.INDEX)]
    assert code == 0, err
    assert out.count("signed by") == 1
    assert again == 0, why
    assert mixzoo("eval", "check", inner, "--signed-by", keys / "ada.pub")[0] == 0
    assert mixzoo("zoo", "verify", folder, "--signed-by", keys / "eve.pub")[0] == 0


def test_a_folder_is_verified_by_its_signature(mixzoo: Run, root: Path, keys: Path) -> None:
    """It and the cache's files are named to one command; a signature is demanded of folders alone."""
    folder = root / ROW

    _, said, _ = mixzoo("zoo", "verify", folder, "--json")
    (folder / "report.json").write_bytes(b"")
    code, _, err = mixzoo("zoo", "verify", folder, "--signed-by", keys / "ada.pub")
    unsigned, out, _ = mixzoo("zoo", "verify", root)
    unfit, _, why = mixzoo("zoo", "verify", "mini", "--signed-by", keys / "ada.pub")

    assert "says that it is signed by key" in json.loads(said)[0]["detail"]
    assert code == 5
    assert "report.json was changed" in err
    assert unsigned == 0
    assert "isn't signed" in out
    assert unfit == 2
    assert "--signed-by: expected signed folders" in why


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes keys by openssl")
def test_the_commands_of_the_documentation_work(
    mixzoo: Run, unsigned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they stand in docs/evidence.md, but for the installation."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(unsigned, "OUT")
    section = PAGE.read_text(encoding="utf-8").partition("## Signed")[2]
    blocks = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).replace("\\\n", "")
    said = ""
    for line in blocks.splitlines():
        name, *words = shlex.split(line, comments=True)
        if name == "mixzoo":
            code, out, err = mixzoo(*words)
            assert code == 0, err
            said += out
        elif name != "pip":
            said += subprocess.run(
                [name, *words], check=True, capture_output=True, text=True
            ).stdout

    [fingerprint] = re.findall(r"([0-9a-f]{64})  key.pub", said)
    assert f"The evidence is signed by key {fingerprint}" in said
    assert "The evidence is signed by CN=Ada Lovelace (certificate " in said


def test_the_strangers_script_checks_a_verdict_by_itself(
    root: Path, keys: Path, tmp_path: Path
) -> None:
    """The one in docs/evidence.md; it refuses one that was edited."""
    script, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "check.py").write_text(script)
    run = [sys.executable, tmp_path / "check.py", root / ROW / evidence.VERDICT, keys / "ada.pub"]

    done = subprocess.run(run, capture_output=True, text=True, check=True)
    forge(root / ROW / evidence.VERDICT, b"PASSED", b"FAILED")
    refused = subprocess.run(run, capture_output=True, text=True, check=False)

    assert done.stdout == f"{ROW}.pth PASSED\n"
    assert "InvalidSignature" in refused.stderr


def forge(path: Path, old: bytes, new: bytes) -> None:
    bundle = json.loads(path.read_text())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(old, new)).decode()
    path.write_text(json.dumps(bundle))
