"""The marker grpcstream_requirement names known features and exchanges only, in a user's tests too."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'EOF-5', features=('eco',)", "features: unknown feature 'eco'; valid are abort, finish, repeat, echo, *"),
        (
            "'EOF-5', observed_by=('echo',)",
            "observed_by: unknown baseline exchange 'echo'; valid are list, record, route, duplex",
        ),
        ("'EOF-5', features='echo'", "features='echo' is not a tuple of names; valid names are abort, *"),
        ("'EOF-5', needs=('echo',)", "unknown argument 'needs'; valid are features and observed_by"),
        ("", "takes the id of one requirement, such as grpcstream_requirement('EOF-5')"),
        ("'EOF-5', 'EOF-6'", "takes the id of one requirement, such as grpcstream_requirement('EOF-5')"),
    ],
)
def test_an_invalid_marker_is_a_usage_error(pytester: pytest.Pytester, arguments: str, message: str) -> None:
    """It names the test, what was given and what is valid, and no test runs."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.grpcstream_requirement({arguments})
        def test_own():
            pass
        """
    )
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *::test_own: marker grpcstream_requirement: {message}"])


def test_a_valid_marker_is_accepted(pytester: pytest.Pytester) -> None:
    """A user's own test may name a requirement, and what it takes to check it."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.grpcstream_requirement("EOF-5", features=("echo",), observed_by=("record",))
        def test_own():
            pass
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)
