"""An upload's parts, judged while they pass on to Gradio, which takes a thousand of any kind."""

from pathlib import PurePosixPath

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .settings import Settings


class UploadError(ValueError):
    """A line for whoever sends it. too_large: whether that is what is wrong."""

    def __init__(self, line: str, *, too_large: bool = False) -> None:
        super().__init__(line)
        self.too_large = too_large


class Parts:
    """Follows a multipart body. Each part is one file, named, within the limits."""

    def __init__(self, content_type: str, settings: Settings) -> None:
        """Raises UploadError for a request of another type."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise UploadError("Expected files as multipart/form-data.")
        self._limits = settings
        self._parts = self._size = 0
        self._headers: list[list[bytes]] = []  # name, value
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin,
                "on_header_begin": lambda: self._headers.append([b"", b""]),
                "on_header_field": lambda data, start, end: self._header(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._header(1, data[start:end]),
                "on_headers_finished": self._judge,
                "on_part_data": lambda _, start, end: self._count(end - start),
            },
            max_header_count=8,  # browsers send two
            max_header_size=4096,
        )

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises UploadError."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise UploadError(f"Expected files as multipart/form-data ({error}).") from None

    def _begin(self) -> None:
        self._parts += 1
        self._size, self._headers = 0, []
        most = self._limits.max_files
        if self._parts > most:
            raise UploadError(f"Expected at most {most} files at once.", too_large=True)

    def _header(self, which: int, data: bytes) -> None:
        self._headers[-1][which] += data

    def _judge(self) -> None:
        headers = {name.lower(): value for name, value in self._headers}
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        name = PurePosixPath(options.get(b"filename", b"").decode(errors="replace")).name
        if options.get(b"name") != b"files" or not any(map(str.isalnum, name)):
            raise UploadError("Expected files alone, each with a name that has letters or digits.")

    def _count(self, size: int) -> None:
        self._size += size
        most = self._limits.max_upload
        if self._size > most:
            raise UploadError(f"Expected files of at most {most >> 20} MiB each.", too_large=True)
