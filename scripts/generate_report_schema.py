"""Generate pytest_grpcstream/report/schema.json, the JSON Schema of report.json, from the types in report/values.py.

Run it as ``python scripts/generate_report_schema.py``, with pytest-grpcstream installed. ``--check`` changes nothing
and exits with 1 when the file is not what the types say.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pytest_grpcstream.report.schema import generate_schema

_FILE = Path(__file__).resolve().parent.parent / "pytest_grpcstream" / "report" / "schema.json"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or compare it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    text = json.dumps(generate_schema(), indent=2) + "\n"
    if not parser.parse_args(arguments).check:
        _FILE.write_text(text, encoding="ascii")
        return 0
    if _FILE.read_text(encoding="ascii") == text:
        return 0
    print(f"{_FILE.name} is not what report/values.py says: run scripts/generate_report_schema.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
