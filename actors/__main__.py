"""`python -m actors`: the same as the `nightdesk` command."""

from __future__ import annotations

import sys

from actors.cli import main

if __name__ == "__main__":
    sys.exit(main())
