"""What the venue says when it refuses: Binance's own codes and words.

Source: binance-spot-api-docs, errors.md. A test that wants a refusal names the code; nothing else may be
raised across the facade for a client's mistake.
"""

from __future__ import annotations


class VenueError(Exception):
    """A refusal as a client of Binance sees it.

    `code` and `message` are the two fields of Binance's error body, `http_status` is what REST answers with
    (400 unless stated; 409 for the half success of cancelReplace), `data` is the extra "data" member that
    cancelReplace carries, else None.
    """

    def __init__(self, code: int, message: str, http_status: int = 400, data: object | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.data = data

    def body(self) -> dict[str, object]:
        """The JSON body of the error: code, msg and, where there is one, data."""
        body: dict[str, object] = {"code": self.code, "msg": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body
