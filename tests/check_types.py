"""Type-checks the package under the name that its users import.

pyright can't follow setuptools' hook for an editable package whose root is the repository, so the
repository is shown to it as a folder `mixzoo`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_CHECKED = ("**/.*", "**/build", "**/tests", "**/benchmarks", "**/__pycache__")


def main() -> int:
    """Run pyright on a link to the repository; returns its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mixzoo").symlink_to(ROOT)
        settings = {"include": ["mixzoo"], "exclude": NOT_CHECKED, "pythonVersion": "3.11"}
        (Path(folder) / "pyrightconfig.json").write_text(json.dumps(settings))
        check = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
        return subprocess.run([*check, "--project", folder], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
