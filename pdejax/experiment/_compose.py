"""From a config file and overrides to one typed config, by Hydra's compose API."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ._errors import ConfigError, nearest
from ._schema import typed


def compose(path: str | Path, overrides: Sequence[str] = ()) -> DictConfig:
    r"""One typed config from a YAML file and `key=value` overrides.

    Config groups (`model=fno`) are looked up beside the file and in the nearest folder called
    `configs` above it or in the working directory. Any key of the schema may be set with
    `key=value`, whether or not the file mentions it; Hydra's `+key=value` and `~key` work as well.

    Raises `ConfigError` for a missing file, an unreadable override and an unknown key.
    """
    file = config_file(path)
    with located(file) as roots, sentences(file):
        config = hydra_compose(file.stem, overrides=[search_path(roots), *prefixed(overrides, roots)])
    return framed(config, file)


def framed(config: DictConfig, file: Path) -> DictConfig:
    """The composed config in its schema, named after the file where it does not name itself."""
    OmegaConf.set_struct(config, False)
    if config.get("name") is None:
        config["name"] = file.stem
    return typed(config)


def config_file(path: str | Path) -> Path:
    """The absolute path of a config file; the suffix `.yaml` may be left out."""
    given = Path(path).expanduser()
    tried = [given, given.with_name(given.name + ".yaml")]
    for candidate in tried:
        if candidate.is_file():
            if candidate.suffix not in (".yaml", ".yml"):
                raise ConfigError(f"a config is a YAML file, got {candidate}: write a path that ends in .yaml.")
            return candidate.resolve()
    beside = sorted(p.stem for p in given.parent.glob("*.yaml")) if given.parent.is_dir() else []
    hint = nearest(given.stem, beside) if beside else f"the folder {given.parent} holds no YAML file"
    raise ConfigError(f"no config file {given} (working directory {Path.cwd()}): {hint}.")


@contextmanager
def located(file: Path) -> Iterator[list[Path]]:
    """Hydra set to the folder of `file`; yields the folders searched for config groups."""
    above = next((folder for folder in file.parents if folder.name == "configs"), None)
    here = Path.cwd() / "configs"
    roots = [file.parent]
    for folder in (above, here):
        if folder is not None and folder.is_dir() and folder not in roots:
            roots.append(folder)
    with initialize_config_dir(config_dir=str(file.parent), version_base="1.3", job_name="pdejax"):
        yield roots


def search_path(roots: Sequence[Path]) -> str:
    """The override that makes Hydra look for groups in all of `roots` but the first, which it knows."""
    quoted = ",".join("'file://" + str(root).replace("'", r"\'") + "'" for root in roots[1:])
    return f"hydra.searchpath=[{quoted}]"


def prefixed(overrides: Sequence[str], roots: Sequence[Path]) -> list[str]:
    """Overrides that may name any key of the schema, not only those the YAML file mentions."""
    return [_prefix(parse(override), override, roots) for override in overrides]


def _prefix(override: Override, text: str, roots: Sequence[Path]) -> str:
    if override.is_delete() or text.startswith("+") or override.key_or_group.startswith("hydra"):
        return text
    key = override.key_or_group
    names_files = isinstance(override.value(), str) or override.is_sweep_override()
    if "." not in key and names_files and any((root / key).is_dir() for root in roots):
        return text
    return "++" + text


def parse(text: str) -> Override:
    """One override in Hydra's grammar."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(
            f"cannot read the override {text!r}: write key=value, with quotes around values that contain "
            "commas, brackets or spaces, as in \"data.root='my data'\"."
        ) from error


@contextmanager
def sentences(file: Path) -> Iterator[None]:
    """Turn what Hydra and YAML raise into one sentence each."""
    try:
        yield
    except YAMLError as error:
        place = " ".join(str(error).split())
        raise ConfigError(f"{file} is not valid YAML: {place}.") from error
    except (HydraException, OmegaConfBaseException) as error:
        text = " ".join(str(error.__cause__ or error).split("\nSee https")[0].split("\nConfig search path")[0].split())
        raise ConfigError(f"cannot compose {file}: {text.rstrip('.')}.") from error
