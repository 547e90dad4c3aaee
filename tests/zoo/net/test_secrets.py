"""No token, password or signature is ever shown, however it is malformed, and whatever fails."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.net.hosts import shown, token_for, without_secrets

from ...emulator.github import GitHub
from ...emulator.server import Emulator

SECRET = "s3cr3tT0ken"
TOKENS = {
    "line break at its end": f"{SECRET}\n",
    "line break inside": f"{SECRET}\n{SECRET}",
    "return inside": f"{SECRET}\r{SECRET}",
    "blank inside": f"{SECRET} {SECRET}",
    "blanks around": f"  {SECRET}\t",
    "not ASCII": f"{SECRET}\u20ac\u00e9",
    "not UTF-8": f"{SECRET}\udcff",
    "quotes": f'"{SECRET}"',
    "very long": SECRET * 20_000,
    "controls": f"{SECRET}\x1b[2J",
    "good": SECRET,
    "blanks alone": "  \n",
}
SOURCES = {
    "GITHUB_TOKEN": '[[sources]]\nkind = "github"\nrepository = "owner/zoo"\ntag = "v1"\n',
    "GH_TOKEN": '[[sources]]\nkind = "github"\nrepository = "owner/zoo"\ntag = "v1"\n',
    "HF_TOKEN": '[[sources]]\nkind = "huggingface"\nrepository = "owner/zoo"\n',
}
HTTP = '[[sources]]\nkind = "http"\nurl = "{url}"\n'
Run = Callable[..., tuple[int, str, str]]


def require_no_secret(cache: Path, *texts: str) -> None:
    """Neither in what was printed nor in any file of the cache and the manifest's folder."""
    written = [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    for text in (*texts, *(data.decode(errors="replace") for data in written)):
        assert SECRET not in text
        assert "Traceback" not in text


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a home without settings."""
    folder = tmp_path_factory.mktemp("own cache")
    monkeypatch.setenv("MIXZOO_CACHE", str(folder))
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return folder


@pytest.mark.parametrize("command", ["download", "lock"])
@pytest.mark.parametrize("variable", SOURCES)
@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_malformed_token_is_one_line_without_it(
    github: GitHub, write_benchmark: Callable[..., Path], mixzoo: Run, cache: Path,
    monkeypatch: pytest.MonkeyPatch, variable: str, token: str, command: str,
) -> None:  # fmt: skip
    """Every service; refused here, or by a server that has never heard of it."""
    monkeypatch.setenv("HF_ENDPOINT", github.emulator.front.url)
    if variable == "HF_TOKEN":
        monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9/api")
        monkeypatch.setenv("GITHUB_SERVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, token)
    manifest = write_benchmark(SOURCES[variable], b"x" if command == "download" else None)

    code, out, err = mixzoo("zoo", command, "own", "--manifest", manifest)

    assert code in (2, 4)
    assert err.count("\n") == 1
    require_no_secret(cache, out, err)


@pytest.mark.parametrize("content", [*(t.encode("utf-8", "replace") for t in TOKENS.values()), b"\xff\xfe" + SECRET.encode(), SECRET.encode() + b"\x00"])  # fmt: skip
def test_malformed_token_file_is_one_line_without_it(
    emulator: Emulator, write_benchmark: Callable[..., Path], mixzoo: Run, cache: Path,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes,
) -> None:  # fmt: skip
    """What `hf auth login` wrote, and somebody edited."""
    (tmp_path / "token").write_bytes(content)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", emulator.front.url)
    manifest = write_benchmark(SOURCES["HF_TOKEN"], b"x")

    code, out, err = mixzoo("zoo", "download", "own", "--manifest", manifest)

    assert code in (2, 4)
    require_no_secret(cache, out, err)


PROXIES = {
    "dead": f"http://me:{SECRET}@127.0.0.1:9",
    "blank": f"http://me:{SECRET} {SECRET}@127.0.0.1:9",
    "slash": f"http://me:{SECRET}/{SECRET}@127.0.0.1:9",
    "hash": f"http://me:{SECRET}#{SECRET}@127.0.0.1:9",
    "port": f"http://me:{SECRET}@127.0.0.1:99999",
    "bracket": f"http://me:{SECRET}@[::1",
    "no scheme": f"me:{SECRET}@127.0.0.1:9",
    "other scheme": f"gopher://me:{SECRET}@127.0.0.1:9",
    "SOCKS": f"socks5://me:{SECRET}@127.0.0.1:9",
    "not ASCII": f"http://me:{SECRET}\u20ac@127.0.0.1:9",
}


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES)
def test_proxy_is_named_without_its_password(
    write_benchmark: Callable[..., Path], mixzoo: Run, cache: Path,
    monkeypatch: pytest.MonkeyPatch, proxy: str,
) -> None:  # fmt: skip
    """A dead one, and one that is none."""
    monkeypatch.setattr("mixzoo.zoo.net.stream.FIRST_PAUSE", 0.0)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    manifest = write_benchmark(HTTP.format(url="http://example.invalid"), b"x")

    code, out, err = mixzoo("zoo", "download", "own", "--manifest", manifest)

    assert code == 4
    require_no_secret(cache, out, err)
    if proxy == PROXIES["dead"]:
        assert "by the proxy http://127.0.0.1:9 (" in err
    if proxy == PROXIES["SOCKS"]:
        assert "pip install 'requests[socks]'" in err


URLS = {
    "plain": "http://me:{s}@127.0.0.1:9/x",
    "slash": "http://me:{s}/{s}@127.0.0.1:9/x",
    "hash": "http://me:{s}#{s}@127.0.0.1:9/x",
    "question": "http://me:{s}?{s}@127.0.0.1:9/x",
    "bracket": "http://me:{s}@[::1/x",
    "compatibility sign": "http://me:{s}@ex\u2100mple.invalid/x",
    "port": "http://me:{s}@127.0.0.1:99999/x",
    "not ASCII": "http://me:{s}\u20ac@127.0.0.1:9/x",
    "signature": "http://127.0.0.1:9/x?sig={s}",
    "no host": "http://me:{s}@/x",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
@pytest.mark.parametrize("command", [("download", "own"), ("show", "resnet18_w4.vanilla_own"),
                                     ("download", "own", "--dry-run")])  # fmt: skip
def test_address_is_shown_without_its_password(
    write_benchmark: Callable[..., Path], mixzoo: Run, cache: Path,
    monkeypatch: pytest.MonkeyPatch, url: str, command: tuple[str, ...],
) -> None:  # fmt: skip
    """Wherever a manifest's source is printed, also with a whole traceback."""
    monkeypatch.setattr("mixzoo.zoo.net.stream.FIRST_PAUSE", 0.0)
    manifest = write_benchmark(HTTP.format(url=url.format(s=SECRET)), b"x")

    code, out, err = mixzoo("zoo", *command, "--manifest", manifest)
    _, json_out, json_err = mixzoo("zoo", *command, "--json", "--manifest", manifest)
    monkeypatch.setattr("mixzoo.app.cli.DEBUG", "HOME")
    if code:
        with pytest.raises(SourceError) as caught:
            mixzoo("zoo", *command, "--manifest", manifest)
        err += "".join(traceback.format_exception(caught.value)).replace("Traceback", "")

    assert code == (4 if command == ("download", "own") else 0)
    require_no_secret(cache, out, err, json_out, json_err)


def test_netrc_that_is_no_text_is_one_line(
    emulator: Emulator, write_benchmark: Callable[..., Path], mixzoo: Run, cache: Path,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    """Passwords of ~/.netrc go to their host, and nowhere else."""
    emulator.files["/w.pth"] = b"x"
    manifest = write_benchmark(HTTP.format(url=emulator.front.url), b"x")
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))

    for password in (SECRET.encode() + b"\xff", f"{SECRET}\u20ac".encode(), f'"{SECRET}'.encode()):
        file.write_bytes(b"machine 127.0.0.1 login me password " + password + b"\n")
        code, out, err = mixzoo("zoo", "download", "own", "--manifest", manifest)
        assert code in (0, 4)
        require_no_secret(cache, out, err)


def test_token_goes_to_its_own_scheme_host_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest of a stranger can't have it sent over plain http."""
    for name in ("GITHUB_SERVER_URL", "GITHUB_API_URL", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    monkeypatch.setenv("HF_TOKEN", SECRET)

    for host in ("github.com", "api.github.com", "huggingface.co"):
        assert token_for(f"https://{host}/x") == SECRET
        for other in (f"http://{host}/x", f"https://{host}:8443/x", f"https://{host}.example/x"):
            assert token_for(other) is None


@given(
    name=st.text("abc@:/?#[]% ", max_size=8),
    rest=st.sampled_from(["host/a", "host:80/a?b#c", "[::1]:80/", "", "[", "\u2100/x", "h:x/"]),
    scheme=st.sampled_from(["http://", "socks5://", "", "//"]),
)
def test_nothing_before_an_at_sign_is_shown(name: str, rest: str, scheme: str) -> None:
    """Whatever stands in a password, and whether or not it is an address at all."""
    for text in (shown(f"{scheme}me:{SECRET}{name}@{rest}"),
                 shown(f"{scheme}me:{name}{SECRET}@{rest}"),
                 without_secrets(f"bad //me:{name}{SECRET}@{rest}: no")):  # fmt: skip
        assert SECRET not in text
