"""The net around the tests: a missing component may be skipped at home and never in CI."""

from tests.conftest import is_hole


def test_a_skip_for_a_missing_component_fails_in_ci_only() -> None:
    assert is_hole("Skipped: needs etcd-server", {"CI": "true"})
    assert not is_hole("Skipped: needs etcd-server", {})
    assert not is_hole("Skipped: not on this platform", {"CI": "true"})
