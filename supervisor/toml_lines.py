"""On which line of a TOML text each key stands; the parser of the standard library does not say.

Pure. Give it only text that `tomllib` has accepted: it looks for structure and checks nothing. Keys inside an
inline table are not found; whoever asks falls back to the line of the key that holds the table.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]

_KEY_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'", re.DOTALL
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Each table, key and array element of `text` -> its line, from 1. The empty path is line 1."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {(): 1}
        self._table: KeyPath = ()
        self._counts: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        while self._skip_blank():
            if self._text[self._at] == "[":
                self._header()
            else:
                path = self._key(self._table)
                self._note(path)
                self._at += 1  # the equals sign
                self._value(path)
        return self._lines

    def _skip_blank(self) -> bool:
        """Go to the next statement; False at the end of the text."""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "#":
                self._skip_comment()
            elif not char.isspace():
                return True
            else:
                self._at += 1
        return False

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _header(self) -> None:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        path = self._key(())
        self._at += 2 if is_array else 1
        if is_array:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            self._lines.setdefault(path, self._line())
            path = (*path, index)
        self._note(path)
        self._table = path

    def _key(self, prefix: KeyPath) -> KeyPath:
        """A dotted key below `prefix`. A part that is an array of tables means its newest table."""
        path = prefix
        while match := _KEY_PART.match(self._text, self._at):
            self._at = match.end()
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
            path = (*path, next(part for part in match.groups() if part is not None))
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return path

    def _value(self, path: KeyPath) -> None:
        """Skip a value; the elements of an array get their lines."""
        depth, index, fresh = 0, 0, False
        while self._at < len(self._text):
            char = self._text[self._at]
            if depth == 0 and char == "\n":
                return
            if char == "#":
                self._skip_comment()
                continue
            if fresh and not char.isspace() and char != "]":
                self._lines[(*path, index)] = self._line()
                fresh = False
            match = _STRING.match(self._text, self._at) if char in "\"'" else None
            if match:
                self._at = match.end()
                continue
            if char in "[{":
                depth += 1
                fresh = char == "[" and depth == 1
            elif char in "]}":
                depth -= 1
            elif char == "," and depth == 1:
                index, fresh = index + 1, True
            self._at += 1

    def _note(self, path: KeyPath) -> None:
        line = self._line()
        for length in range(1, len(path)):
            self._lines.setdefault(path[:length], line)
        self._lines[path] = line

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
