"""Reports of a run as files: JSON, Markdown, a badge, and the evidence of what failed; see `docs/reports.md`.

`python -m pytest_grpcstream.report` merges reports into a matrix and compares two of them. Nothing here knows pytest.
"""
