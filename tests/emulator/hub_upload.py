"""The endpoints of the Hugging Face hub that publishing speaks, on loopback, with faults on demand.

Written after what huggingface_hub sends: create a repository, validate a card, ask how each file
wants to be sent (preupload), the LFS batch, the transfer to a second host with its verification, the
commit, and reading a file back. A repository's head is what its commits say.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .server import Reply, Request, emulate

TOKEN = "hf_" + "x" * 34
Answer = tuple[int, dict[str, Any] | bytes]


@dataclass
class Repo:
    """private: as it was created. files: path -> bytes at the head. commits: messages."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """State of the emulator, for tests to set and read.

    faults: endpoint name -> statuses to answer next, before it works. seen: requests as
    (endpoint, authorization header or None).
    """

    url: str = ""
    storage: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, endpoint: str) -> int:
        """How often an endpoint was asked."""
        return sum(name == endpoint for name, _ in self.seen)


ROUTES: list[tuple[str, str, str]] = [  # endpoint, method, path
    ("create", "POST", r"/api/repos/create"),
    ("validate", "POST", r"/api/validate-yaml"),
    ("preupload", "POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/main"),
    ("commit", "POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/main"),
    ("info", "GET", r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/main)?"),
    ("batch", "POST", r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("verify", "POST", r"/verify"),
    ("put", "PUT", r"/store/(?P<oid>[0-9a-f]{64})"),
    ("resolve", "GET", r"/(?P<repo>[^/]+/[^/]+)/resolve/main/(?P<path>.+)"),
]


def create(hub: Hub, body: bytes, repo: str = "") -> Answer:
    """A new repository of the token's user, or 409 if it is there."""
    wish = json.loads(body)
    name = f"{wish['organization']}/{wish['name']}"
    url = {"url": f"{hub.url}/{name}"}
    if name in hub.repos:
        return 409, url | {"error": "You already created this model repo"}
    hub.repos[name] = Repo(private=wish.get("visibility") == "private")
    return 200, url


def validate(hub: Hub, body: bytes, repo: str = "") -> Answer:
    """The hub refuses a card whose front matter has no license it knows; here: none at all."""
    card = json.loads(body)["content"]
    if "\nlicense: " not in card.split("\n---\n")[0]:
        return 400, {"errors": [{"message": "no license"}], "warnings": []}
    return 200, {"errors": [], "warnings": []}


def preupload(hub: Hub, body: bytes, repo: str) -> Answer:
    """Weights go to large storage, texts into the commit; the hub knows the hash of what it has."""
    if repo not in hub.repos:
        return 404, {"error": "Repository not found"}
    files = []
    for wish in json.loads(body)["files"]:
        large = wish["path"].endswith(".safetensors")
        files.append(
            {
                "path": wish["path"],
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
                "oid": _oid(hub.repos[repo].files.get(wish["path"]), large),
            }
        )
    return 200, {"files": files}


def _oid(content: bytes | None, large: bool) -> str | None:
    if content is None:
        return None
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def batch(hub: Hub, body: bytes, repo: str) -> Answer:
    """Where to send each large object; nothing for those that are there."""
    objects = []
    for wish in json.loads(body)["objects"]:
        entry = {"oid": wish["oid"], "size": wish["size"]}
        if wish["oid"] not in hub.large:
            entry["actions"] = {
                "upload": {"href": f"{hub.storage}/store/{wish['oid']}?signature=once"},
                "verify": {"href": f"{hub.url}/verify"},
            }
        objects.append(entry)
    return 200, {"transfer": "basic", "objects": objects}


def put(hub: Hub, body: bytes, oid: str) -> Answer:
    """Storage takes only the bytes that were announced."""
    if hashlib.sha256(body).hexdigest() != oid:
        return 400, {"error": "other bytes than announced"}
    hub.large[oid] = body
    return 200, b""


def verify(hub: Hub, body: bytes, repo: str = "") -> Answer:
    """The object has arrived, in its size."""
    wish = json.loads(body)
    return (200, b"") if len(hub.large.get(wish["oid"], b"")) == wish["size"] else (422, b"")


def commit(hub: Hub, body: bytes, repo: str) -> Answer:
    """All files at once; a large one must have been stored before."""
    lines = [json.loads(line) for line in body.splitlines()]
    files: dict[str, bytes] = {}
    for line in lines[1:]:
        value = line["value"]
        if line["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            if value["oid"] not in hub.large:
                return 400, {"error": "object is not stored"}
            files[value["path"]] = hub.large[value["oid"]]
    head = hub.repos[repo]
    head.files |= files
    head.commits.append(lines[0]["value"]["summary"])
    return 200, {"commitUrl": f"{hub.url}/{repo}/commit/{_sha(head)}", "commitOid": _sha(head)}


def info(hub: Hub, body: bytes, repo: str) -> Answer:
    """What the hub says of a repository."""
    if repo not in hub.repos:
        return 404, {"error": "Repository not found"}
    found = hub.repos[repo]
    return 200, {"id": repo, "private": found.private, "sha": _sha(found), "siblings": []}


def resolve(hub: Hub, body: bytes, repo: str, path: str) -> Answer:
    """A file of the head."""
    found = hub.repos[repo].files.get(path) if repo in hub.repos else None
    return (404, {"error": "Entry not found"}) if found is None else (200, found)


def _sha(repo: Repo) -> str:
    return f"{len(repo.commits):040x}"


HANDLERS: dict[str, Callable[..., Answer]] = {
    "create": create,
    "validate": validate,
    "preupload": preupload,
    "batch": batch,
    "put": put,
    "verify": verify,
    "commit": commit,
    "info": info,
    "resolve": resolve,
}
OPEN = {"put", "resolve"}  # a signed address needs no token, a public file neither


def _answer(hub: Hub, request: Request) -> Answer:
    for endpoint, expected, pattern in ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found is None or request.method != expected:
            continue
        authorization = request.headers.get("authorization")
        with hub.lock:
            hub.seen.append((endpoint, authorization))
            if hub.faults.get(endpoint):
                return hub.faults[endpoint].pop(0), {"error": "as the test wished"}
            if endpoint not in OPEN and authorization != f"Bearer {TOKEN}":
                return 401, {"error": "Invalid username or password."}
            return HANDLERS[endpoint](hub, request.body, **found.groupdict())
    return 404, {"error": f"the emulator has no {request.method} {request.path}"}


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub, and its storage on a port of its own."""
    with emulate() as emulator:
        hub = Hub(emulator.front.url, emulator.store.url)

        def handle(request: Request) -> Reply:
            status, content = _answer(hub, request)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            kind = "octet-stream" if isinstance(content, bytes) else "json"
            return Reply(status, {"Content-Type": f"application/{kind}"}, data)

        emulator.handlers.append(handle)
        yield hub
