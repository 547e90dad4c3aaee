"""Type-checks mixzoo as its users install it: in a plain, not an editable, installation.

pyright can't follow setuptools' hook for an editable package whose root is the repository.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Install a copy without its dependencies beside this environment's, and check that."""
    with tempfile.TemporaryDirectory() as folder:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--target", folder, str(ROOT)], check=True)
        (Path(folder) / "pyrightconfig.json").write_text(
            '{"include": ["mixzoo"], "extraPaths": ["."], "pythonVersion": "3.11"}'
        )
        check = [
            sys.executable,
            "-m",
            "pyright",
            "--project",
            folder,
            "--pythonpath",
            sys.executable,
        ]
        return subprocess.run(check, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
