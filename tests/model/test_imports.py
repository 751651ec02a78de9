"""The model stands alone: it never imports Beam."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_imports_without_beam():
    modules = sorted(f"model.{path.stem}" for path in (ROOT / "model").glob("[a-z]*.py"))
    assert "model.basnet" in modules
    code = f"""
import importlib, sys
sys.modules["apache_beam"] = None  # importing it raises
for module in {modules}:
    importlib.import_module(module)
assert not [name for name in sys.modules if name.startswith("pipeline")]
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
