"""The adapter form: LoRA matrices as they were trained, naming their base portably.

The safetensors file is copied byte for byte. PEFT leaves in `adapter_config.json` the folder the
base was read from on this machine; it becomes the name and revision a stranger can load.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tasks.exports.spec import ExportSpec

__all__ = ["write_adapter"]


def write_adapter(spec: ExportSpec, out: Path) -> None:
    """Write adapter_model.safetensors and adapter_config.json."""
    tuned = Path(spec.tuned_path)
    shutil.copyfile(tuned / "adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((tuned / "adapter_config.json").read_text(encoding="utf-8"))
    config |= {
        "base_model_name_or_path": spec.base_name,
        "revision": spec.base_revision,
        "inference_mode": True,
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (out / "adapter_config.json").write_text(text, encoding="utf-8")
