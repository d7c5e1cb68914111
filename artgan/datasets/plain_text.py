"""Text files as people save them: UTF-8, with or without a mark, UTF-16 of office programs, Windows-1252 of old ones."""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GUESSED = "cp1252"


def read_text(data: bytes) -> tuple[str, str]:
    """Return the text of a file and the encoding that it was read by; `GUESSED` is the only one that is not certain.

    Raises:
        ValueError: it is no text in any of these.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _unmarked_utf16(data)
    for candidate in [encoding] if encoding else ["utf-8", GUESSED]:
        try:
            return data.decode(candidate), candidate
        except UnicodeDecodeError:
            continue
    raise ValueError("no text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8")


def _unmarked_utf16(data: bytes) -> str | None:
    """Tell UTF-16 without a mark by the zero bytes that letters of the West, digits, commas and line ends have there."""
    head = data[:4096]
    if len(data) % 2 or b"\0" not in head:
        return None
    return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
