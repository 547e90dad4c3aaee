"""An upload's parts, judged while they arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.app.demo.settings import Settings
from mixzoo.app.demo.uploads import Parts, UploadError

LIMITS = Settings(max_upload=100, max_files=2)
LATIN = st.text(st.characters(max_codepoint=255), max_size=30)  # what headers are read as
FORM = "multipart/form-data; boundary=B"


def part(
    content: bytes = b"x",
    *more: str,
    disposition: str = 'form-data; name="files"; filename="a.png"',
) -> bytes:
    head = "\r\n".join(["--B", f"Content-Disposition: {disposition}", *more])
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def verdict(body: bytes, *cuts: int, kind: str = FORM) -> str:
    """What is said of a body that comes in pieces; "" if nothing is."""
    try:
        parts = Parts(kind, LIMITS)
        for start, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
            parts.feed(body[start:end])
    except UploadError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (part() + part() + b"--B--", ""),
        (part(bytes(100)) + b"--B--", ""),
        (part(bytes(101)), "at most 0 MiB each"),
        (part() * 3, "at most 2 files at once"),
        (part(disposition='form-data; name="other"; filename="a.png"'), "Expected files alone"),
        (part(disposition='form-data; name="files"'), "Expected files alone"),
        (part(disposition='form-data; name="files"; filename=".."'), "letters or digits"),
        (part(disposition='form-data; name="files"; filename="\0/."'), "letters or digits"),
        (part(b"x", *[f"X-{n}: y" for n in range(9)]), "multipart/form-data"),
        (part(b"x", f"X: {'y' * 5000}"), "multipart/form-data"),
        (b"hello", "multipart/form-data"),
    ],
)
def test_each_part_is_one_named_file(body: bytes, told: str) -> None:
    """As a browser sends them; anything else is refused in words."""
    said = verdict(body)

    assert told in said
    assert bool(told) is bool(said)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary="]
)
def test_other_type_is_refused(kind: str) -> None:
    """What has no parts isn't followed."""
    assert "multipart/form-data" in verdict(b"", kind=kind)


@settings(max_examples=40)
@given(st.binary(max_size=200), st.integers(0, 150), st.integers(0, 400), LATIN)
def test_nothing_else_is_raised_and_cuts_change_nothing(
    odd: bytes, at: int, cut: int, kind: str
) -> None:
    """A body with odd bytes in it is taken or refused in words, however it is cut into pieces."""
    whole = part() + part(b"y" * 50) + b"--B--\r\n"
    body = whole[:at] + odd + whole[at:]
    cut = min(cut, len(body))

    assert bool(verdict(body)) is bool(verdict(body, cut))
    verdict(body, kind=kind)
    verdict(body, kind=f"multipart/form-data; boundary={kind}")
