"""Breaking a running desk on purpose, and judging by the venue's own record what it cost."""
