"""Archives as people bring them, packed in memory."""

import io
import tarfile
import zipfile

Name = str | zipfile.ZipInfo


def zipped(*members: tuple[Name, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these names and bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", packing) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


def tarred(*members: tuple[str, bytes], links: tuple[str, ...] = (), mode: str = "w") -> bytes:
    """A tar of these names and bytes, and of links out of it. mode: "w:gz" packs it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return content.getvalue()
