"""What a run computes with: precision, compilation cache, versions and hardware."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._errors import ConfigError, nearest

PACKAGES = (
    "jax",
    "jaxlib",
    "equinox",
    "optax",
    "lineax",
    "optimistix",
    "diffrax",
    "flax",
    "orbax-checkpoint",
    "hydra-core",
    "numpy",
    "scipy",
)
MATMUL = ("default", "high", "highest", "bfloat16", "tensorfloat32", "float32")


def configure(precision: Mapping[str, Any], cache: Path) -> None:
    """Set jax's precision and its persistent compilation cache for this process.

    Called by the command line before it builds anything; the library itself sets nothing.
    """
    matmul = precision["matmul"]
    if matmul is not None and matmul not in MATMUL:
        raise ConfigError(
            f"precision.matmul={matmul} is not a matrix product precision of jax: {nearest(str(matmul), MATMUL)}."
        )
    import jax

    jax.config.update("jax_enable_x64", bool(precision["x64"]))
    jax.config.update("jax_default_matmul_precision", matmul)
    cache.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(cache.resolve()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def versions() -> dict[str, str]:
    """Version of Python, pdejax and the packages that decide its numbers."""
    import pdejax

    found = {"python": platform.python_version(), "pdejax": getattr(pdejax, "__version__", "unknown")}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The processor, its cores and the devices jax computes on."""
    import jax

    devices = jax.devices()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in devices],
        "processes": jax.process_count(),
    }


def commit() -> str | None:
    """The git commit of the working directory, with a mark when files differ from it."""
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() or None if head.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor() or "unknown",
    )
