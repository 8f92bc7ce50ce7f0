"""What a running process tells: log lines, and a small HTTP listener for its status and its operator's
commands."""
