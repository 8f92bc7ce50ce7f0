"""Processes: how one is started, known to be ready, and ended, and how it notices that its parent is gone."""
