"""The served page without a browser: its programs' interface, its limits, what it gives away."""

import base64
import io
import json
import re
import select
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
from mixzoo.eval.pixels import centre_crop
from mixzoo.eval.protocol import normalise
from mixzoo.train.mixing import mix_by_name
from mixzoo.viz.mix import heat_over, to_pixels
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load, load_file
from mixzoo.zoo.mini import NAMED, example, species
from PIL import Image

from ...mini_rows import MIXUP as REF
from . import hostile
from .conftest import LEARNT, Served
from .test_pictures import SVG, bomb

PROTOCOL = open_catalog().benchmark("mini").manifest.protocol


def upload(served: Served, content: bytes, name: str = "a.png") -> dict[str, Any]:
    """What names an uploaded file in requests."""
    answer = requests.post(f"{served.api}upload", files={"files": (name, content)}, timeout=30)
    answer.raise_for_status()
    return file(answer.json()[0])


def call(served: Served, name: str, *arguments: Any) -> list[Any]:
    """What an endpoint answers; raises ValueError with what a visitor is told."""
    asked = requests.post(f"{served.api}call/{name}", json={"data": arguments}, timeout=30)
    if asked.status_code != 200:
        raise ValueError(asked.text)
    told = requests.get(f"{served.api}call/{name}/{asked.json()['event_id']}", timeout=60).text
    kind, _, data = told.strip().rpartition("\n\n")[2].partition("\n")
    content = json.loads(data.removeprefix("data: "))
    if kind != "event: complete":
        raise ValueError(content["error"])
    return content


def pixels(served: Served, file: dict[str, str]) -> np.ndarray:
    """A picture that an endpoint answered with."""
    answer = requests.get(f"{served.api}file={file['path']}", timeout=30)
    answer.raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def pair(served: Served) -> list[dict[str, Any]]:
    """Fox and owl, uploaded."""
    return [upload(served, png(example(*NAMED[name])), f"{name}.png") for name in ("fox", "owl")]


@pytest.mark.parametrize(
    ("method", "ref"),
    [("mixup", REF), ("cutmix", REF), ("puzzlemix", REF), ("automix", LEARNT)],
)
def test_numbers_are_the_librarys(served: Served, pair, method: str, ref: str) -> None:
    """Pixels, mask, label weights and classes are those of the functions that everybody can call."""
    image, mask, weights, top_a, top_mixed, *_ = call(served, "mix", *pair, method, 0.3, 5, ref)

    own = served.folder / "cache" / "assets" / "own" / "automix.pth"
    model = load(ref) if ref == REF else load_file(own)
    crops = [centre_crop(np.asarray(example(*NAMED[one])), PROTOCOL) for one in ("fox", "owl")]
    x = normalise(torch.from_numpy(np.stack(crops)), PROTOCOL)
    rng = np.random.default_rng([5, *method.encode()])
    mixed = mix_by_name(method, x, torch.tensor([1, 0]), [0.3], rng, model)[0]
    shown = to_pixels(mixed.images[:1], PROTOCOL)[0]
    assert np.array_equal(pixels(served, image), shown)
    assert np.array_equal(pixels(served, mask), heat_over(shown, mixed.mask[0, 0].numpy()))
    assert weights.pop("why").count("lam 0.30") == 1
    assert weights == pytest.approx({"A": float(mixed.lam[0]), "B": 1 - float(mixed.lam[0])})
    names = [one.name if ref == REF else f"class {one.id}" for one in species()]
    seen = normalise(torch.from_numpy(np.stack([crops[0], shown])), PROTOCOL)
    with torch.no_grad():
        expected = model(seen).softmax(1).topk(5)
    for told, ps, classes in zip(
        (top_a, top_mixed), *map(torch.Tensor.tolist, expected), strict=True
    ):
        assert [one["label"] for one in told["confidences"]] == [names[n] for n in classes]
        assert [one["confidence"] for one in told["confidences"]] == pytest.approx(ps, abs=1e-4)


def test_many_may_open_one_link(served: Served, pair) -> None:
    """Visitors who ask for the same mix at once all get the whole picture, while others ask again."""

    def visit(_: int) -> bytes:
        image, *_rest = call(served, "mix", *pair, "mixup", 0.25, 0, REF)
        answer = requests.get(f"{served.api}file={image['path']}", timeout=30)
        answer.raise_for_status()
        assert len(answer.content) == int(answer.headers["content-length"])
        return answer.content

    with ThreadPoolExecutor(8) as visitors:
        pictures = set(visitors.map(visit, range(40)))
    assert len(pictures) == 1


@pytest.mark.parametrize(("lam", "shown"), [(1, "fox"), (0, "owl")])
def test_ends_of_lam_show_the_sources(served: Served, pair, lam: float, shown: str) -> None:
    """With MixUp lam 1 is A and lam 0 is B, to the pixel."""
    image = call(served, "mix", *pair, "mixup", lam, 0, REF)[0]

    crop = centre_crop(np.asarray(example(*NAMED[shown])), PROTOCOL)
    assert np.array_equal(pixels(served, image), crop)


@pytest.mark.parametrize(
    ("kind", "method", "ref"),
    [
        ("methods", "mixup", REF),
        ("lams", "cutmix", REF),
        ("curve", "mixup", REF),
        ("cam", "cutmix", REF),
        ("maps", "automix", LEARNT),
    ],
)
def test_grids_are_drawn(served: Served, pair, kind: str, method: str, ref: str) -> None:
    """Each kind gives a picture, wider than one tile, named after what it shows."""
    more = [{"image": pair[0], "caption": None}]
    [grid] = call(served, "grid", *pair, more, kind, method, 0.4, 0, ref, "dark", "a")

    assert pixels(served, grid).shape[1] > 800
    assert grid["path"].endswith(f"/fox-owl-{method}-lam0.4-seed0-{kind}.png")


def test_interface_is_documented(served: Served) -> None:
    """Programs find the endpoints with names and a description; the page's own events are hidden."""
    endpoints = requests.get(f"{served.api}info", timeout=30).json()["named_endpoints"]

    names = [one["parameter_name"] for one in endpoints["/mix"]["parameters"]]
    assert names == ["image_a", "image_b", "method", "lam", "seed", "ref"]
    assert "label weights" in endpoints["/mix"]["description"]
    assert {"/mix", "/grid"} <= set(endpoints)
    assert not {"/show", "/put", "/draw", "/restore"} & set(endpoints)
    told = [value for one in endpoints.values() for value in (*one["parameters"], *one["returns"])]
    assert not [value for value in told if "http" in str(value.get("example_input"))]
    assert not [value for value in told if re.search(r"_\d+$", value["label"])]


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"nonsense" * 50, "a.png", "a.png: expected a picture"),
        (bomb(), "b.png", "far too many pixels"),
        (SVG, "c.svg", "expected a picture"),
        (png(Image.new("RGB", (90, 90)))[:60], "d.png", "damaged or incomplete"),
    ],
    ids=["random", "bomb", "svg", "cut"],
)
def test_bad_upload_is_told_and_the_server_lives(served: Served, pair, content, name, told) -> None:
    """A file that can't be read gives its line, and the next visitor gets a mix."""
    bad = upload(served, content, name)

    with pytest.raises(ValueError, match=told):
        call(served, "mix", bad, pair[1], "mixup", 0.5, 0, REF)
    assert len(call(served, "mix", *pair, "mixup", 0.5, 0, REF)) == 8


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        (0, None, "Expected two pictures"),
        (2, "automix", "expected a checkpoint of automix"),
        (2, "../x", "not in the list of choices"),
        (3, 7, "maximum value 1"),
        (4, -3, "minimum value 0"),
        (5, "/etc/passwd", "not in the list of choices"),
        (5, "resnet50.automix_inat2018", "not in the list of choices"),
    ],
)
def test_wrong_argument_is_told(served: Served, pair, argument: int, value: Any, told: str) -> None:
    """What a program may not ask for is refused in words."""
    arguments = [*pair, "mixup", 0.5, 0, REF]
    arguments[argument] = value

    with pytest.raises(ValueError, match=told):
        call(served, "mix", *arguments)


def test_path_outside_the_uploads_is_no_picture(served: Served, pair) -> None:
    """A file of the server's own can't be named as an upload, and nothing is said of it."""
    secret = served.folder / "secret.png"
    secret.write_bytes(png(example(1, 0)))

    with pytest.raises(ValueError, match="None"):
        call(served, "mix", file(str(secret)), pair[1], "mixup", 0.5, 0, REF)


def test_address_is_no_picture(served: Served, pair) -> None:
    """The server fetches nothing for a visitor."""
    with pytest.raises(ValueError, match="got an address"):
        call(served, "mix", file("http://127.0.0.1:9/a.png"), pair[1], "mixup", 0.5, 0, REF)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/proc/self/environ",
        "{folder}/secret.txt",
        "{folder}/own.toml",
        "{folder}/cache/assets/own/automix.pth",
        "{folder}/cache/demo/examples-1.0/fox.png",
        "{upload}/../../../../secret.txt",
        "{upload}/..",
        "file:///etc/passwd",
        "{package}/app/demo/gate.py",
    ],
)
def test_no_other_file_is_readable(served: Served, pair, path: str) -> None:
    """Nothing is served from outside the uploads, however the path is written."""
    package = Path(sys.modules["mixzoo"].__file__ or "").parent
    upload = Path(pair[0]["path"]).parent
    path = path.format(folder=served.folder, upload=upload, package=package)
    request = requests.Request("GET", served.api).prepare()
    request.url = f"{served.api}file={path}"  # as written: requests would tidy it up

    with requests.Session() as session:
        answer = session.send(request, timeout=30)
    assert answer.status_code in (403, 404)
    assert b"confidential" not in answer.content


def test_huge_upload_is_refused_and_removed(served: Served) -> None:
    """A file above the limit is refused, and what had arrived is gone."""
    before = stored(served)
    answer = requests.post(
        f"{served.api}upload", files={"files": ("a.png", bytes(21 * 2**20))}, timeout=60
    )

    assert answer.status_code == 413
    assert "maximum allowed size" in answer.json()["detail"]
    assert stored(served) < before + 2**20


def test_upload_that_is_no_form_is_refused(served: Served) -> None:
    """Gradio says what is wrong with it, and keeps nothing."""
    before, kind = stored(served), "multipart/form-data; boundary=B"
    answer = requests.post(
        f"{served.api}upload", data=b"no form", headers={"Content-Type": kind}, timeout=60
    )

    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert stored(served) == before


def stored(served: Served) -> int:
    files = (served.folder / "temporary").rglob("*")
    return sum(one.stat().st_size for one in files if one.is_file())


def test_page_names_no_other_host_to_load_from(served: Served) -> None:
    """No font, script, style or picture of the page comes from elsewhere."""
    root = served.url
    page = requests.get(root, timeout=30).text
    theme = requests.get(f"{root}theme.css", timeout=30).text

    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']([^"']+)""", page)
    assert not [one for one in loaded if re.match(r"(https?:)?//", one) and root not in one]
    assert not re.findall(r"url\(['\"]?(?:https?:)?//", theme + page)
    assert "fonts.googleapis.com" not in theme


def test_link_is_shown_as_the_pages_own(served: Served) -> None:
    """What a chat shows of a link, and a browser's tab, is mixzoo's and not Gradio's."""
    page = requests.get(f"{served.url}?a=owl&lam=0.3", timeout=30).text
    told = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', page))
    icon = requests.get(f"{served.url}favicon.ico", timeout=30)

    assert told["title"] == "mixzoo"
    assert told["description"].startswith("Mix two pictures")
    assert told["url"] == f"{served.url}?a=owl&amp;lam=0.3"
    assert told["image"] == f"{served.url}preview.png?a=owl&amp;lam=0.3"
    assert not re.search(r'"twitter:(?!card)|"{url}"', page.partition("</head>")[0])
    assert icon.headers["content-type"] == "image/svg+xml"
    assert b"#fee838" in icon.content


def test_link_has_the_picture_of_its_mix(served: Served) -> None:
    """It shows what the page opens with; whatever else a query says, there is a picture."""
    queries = [
        "",
        "?a=owl&lam=0.3",
        "?method=nope&lam=x&a=/etc/passwd&ref=../x&seed=-1",
        "?%ff=&a&&",
    ]

    answers = [requests.get(f"{served.url}preview.png{query}", timeout=60) for query in queries]

    assert {Image.open(io.BytesIO(one.content)).size for one in answers} == {(1200, 630)}
    fresh, owl, *odd = (one.content for one in answers)
    assert owl != fresh
    assert odd == [fresh, fresh]


def ask(served: Served, method: str, **parameters: Any) -> Any:
    """What an MCP client is answered."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    accepted = {"Accept": "application/json, text/event-stream"}
    answer = requests.post(f"{served.api}mcp/", json=message, headers=accepted, timeout=60)
    if answer.status_code != 200:
        raise ValueError(answer.text)
    return json.loads(answer.text.partition("data: ")[2])["result"]


@pytest.mark.skipif(find_spec("mcp") is None, reason="pip install 'mixzoo[mcp]'")
def test_tools_are_offered_to_programs(served: Served, pair) -> None:
    """An MCP client finds four tools and no other endpoint; a mix is the page's, pixel for pixel."""
    offered = ask(served, "tools/list")["tools"]
    arguments = {"a": "fox", "b": "owl", "method": "cutmix", "lam": 0.3, "row": REF}
    mixed = ask(served, "tools/call", name="mix", arguments=arguments)
    on_page, _, weights, *_ = call(served, "mix", *pair, "cutmix", 0.3, 0, REF)
    verdict = ask(served, "tools/call", name="verdict", arguments={"row": REF})
    other = ask(served, "tools/call", name="zoo", arguments={"benchmark": "mini"})

    assert [one["name"] for one in offered] == ["mix", "predict", "verdict", "evidence"]
    assert all(one["description"] and one["inputSchema"]["properties"] for one in offered)
    image, _, told, command = mixed["content"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["data"]))))
    assert np.array_equal(shown, pixels(served, on_page))
    assert json.loads(told["text"])["label"] == weights
    assert "--methods cutmix --lams 0.3" in command["text"]
    assert f"{REF}, recomputed here: not reproduced" in verdict["content"][0]["text"]
    assert other["isError"]


@pytest.mark.skipif(find_spec("mcp") is None, reason="pip install 'mixzoo[mcp]'")
@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("mix", {"a": "http://127.0.0.1:9/a.png"}, "Expected a drawing's name or a picture"),
        ("mix", {"a": {"path": "/etc/passwd"}}, "is not of type 'string'"),
        ("mix", {"lam": 7}, "expected lam in"),
        ("predict", {"picture": "AAAA"}, "expected a picture"),
        ("predict", {"picture": "fox", "row": "/etc/passwd"}, "No row 'passwd'"),
        ("evidence", {"row": REF[:-1]}, f"Did you mean {REF!r}"),
    ],
)
def test_tools_refuse_in_one_line(served: Served, tool: str, arguments: Any, told: str) -> None:
    """They fetch nothing, read no file that is named, and say what they expect."""
    answer = ask(served, "tools/call", name=tool, arguments=arguments)

    assert answer["isError"]
    [said] = answer["content"]
    assert told in said["text"]
    assert "\n" not in said["text"].strip() or "not of type" in told


def test_tools_take_no_address_for_a_file(served: Served) -> None:
    """A file that is an address is refused before anything reads it, and only POST is spoken."""
    arguments = {"a": {"path": "http://127.0.0.1:9/a.png", "meta": {"_type": "gradio.FileData"}}}

    with pytest.raises(ValueError, match=r"got an address|nothing here"):
        ask(served, "tools/call", name="mix", arguments=arguments)
    for path in ("mcp/sse", "mcp/schema", "mcp/messages/"):
        assert requests.get(f"{served.api}{path}", timeout=30).status_code == 404


def test_errors_hide_the_servers_folders(served: Served, pair) -> None:
    """What a visitor is told names no folder of this machine."""
    with pytest.raises(ValueError, match=r"a\.png") as told:
        call(served, "mix", upload(served, b"x"), pair[1], "mixup", 0.5, 0, REF)

    assert str(served.folder) not in str(told.value)


def test_hostile_requests_are_survived(served: Served) -> None:
    """Hundreds of requests that nobody sends who means well: no traceback for a visitor, no
    foreign file, no failure of the server's own, and the memory stays where it was."""
    port = int(served.url.rstrip("/").rpartition(":")[2])
    for request in hostile.requests(0, 80, str(served.folder)):  # what is made once is made here
        hostile.send(port, request)
    before = memory(served)

    for request in hostile.requests(1, 240, str(served.folder)):
        answer = hostile.send(port, request)
        assert answer[9:10] not in b"5" or not answer, (request, answer)
        for secret in (b"Traceback", b"confidential", b"root:", b"MIXZOO_"):
            assert secret not in answer, (request, answer)

    assert memory(served) < before + 50
    assert requests.get(f"{served.url}config", timeout=30).status_code == 200
    written = {path.parent.name for path in served.folder.glob("*") if path.is_file()}
    assert written == {served.folder.name}


def memory(served: Served) -> float:
    """Megabytes of the server's process."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_uploads_in_flight_keep_their_room(served: Served) -> None:
    """Of 24 uploads of 152 MiB that begin at once, 9 find room; when they break off, it is free again."""
    port = int(served.url.rstrip("/").rpartition(":")[2])
    length = f"Content-Length: {152 * 2**20}"
    kind = "Content-Type: multipart/form-data; boundary=B"
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n{length}\r\n\r\n".encode()
    with ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(24)
        ]
        for one in waiting:
            one.sendall(head)
        time.sleep(1)
        refused, _, _ = select.select(waiting, [], [], 0)
        assert {one.recv(12) for one in refused} == {b"HTTP/1.1 507"}

    assert len(refused) == 15
    for _ in range(40):
        if requests.post(f"{served.api}upload", files={"files": ("a", b"x")}).ok:
            break
        time.sleep(0.25)
    else:
        pytest.fail("the room isn't free again")


def test_end_leaves_nothing_behind(served: Served, pair) -> None:
    """Ctrl-C, also while pictures are computed and pages are open: the end comes soon, as announced."""
    for lam in (0.2, 0.4, 0.6):
        asked = {"data": [*pair, "puzzlemix", lam, 0, REF]}
        requests.post(f"{served.api}call/mix", json=asked, timeout=30).raise_for_status()
    asked = {"data": [*pair, [], "maps", "automix", 0.4, 0, LEARNT, "dark", "turn"]}
    requests.post(f"{served.api}call/grid", json=asked, timeout=30).raise_for_status()
    with requests.get(f"{served.api}heartbeat/x", stream=True, timeout=30):
        time.sleep(0.4)

        served.process.send_signal(signal.SIGINT)

        assert served.process.wait(60) == 0
    assert list((served.folder / "temporary").iterdir()) == []
    told = (served.folder / "stderr").read_text()
    assert "error:" not in told
    assert "interrupted" not in told.lower()
