"""Model folders on a model hub: a folder is what a hub holds, so pushing and pulling is all there is."""

import os
import re
from pathlib import Path

from artgan.errors import ConfigError, StorageError, WeightsError
from artgan.generation.model_folder import Model, load_model
from artgan.storage import MANIFEST, building, remove
from artgan.weights import is_offline

FILES = ("model.safetensors", "config.json", "README.md", "samples.png", MANIFEST)


def push(model: Model, repository: str, *, private: bool = True, message: str = "Upload with artgan") -> str:
    """Upload a model folder and return its address.

    Args:
        model: loaded, so whole and undamaged.
        repository: `owner/name`; made when it does not exist.
        private: of a new repository.
        message: of the commit.

    Raises:
        ConfigError: the name is not one, downloads are forbidden, or the library is missing.
        WeightsError: the hub refuses.
    """
    api = _api(repository)
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=model.folder, allow_patterns=list(FILES), commit_message=message)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise WeightsError(f"the hub refused {repository}: {_first_line(error)}") from error
    return f"{api.endpoint}/{repository}"


def pull(repository: str, out: Path, *, revision: str | None = None) -> Model:
    """Download a model folder to `out`, verified before it is put there, and return it.

    Args:
        repository: `owner/name`.
        out: must not exist.
        revision: a commit, tag or branch; a commit never changes under you.

    Raises:
        ConfigError: as `push`; or `out` exists.
        WeightsError: the hub has no such model, or cannot be reached.
        CheckpointError: what came is no undamaged model of artgan.
    """
    if out.exists():
        raise ConfigError(f"--out {out}: exists; choose another")
    api = _api(repository)
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with building(out) as partial:
            try:
                api.snapshot_download(repository, revision=revision, local_dir=partial, allow_patterns=list(FILES))
            except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
                raise WeightsError(f"{repository} cannot be had from the hub: {_first_line(error)}") from error
            remove(partial / ".cache")
            load_model(partial)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from error
    return load_model(out)


def _api(repository: str):  # type: ignore[no-untyped-def]  # the library is optional
    if not re.fullmatch(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", repository):
        raise ConfigError(f"{repository}: expected OWNER/NAME, such as studio/kaokore-64")
    if is_offline():
        raise ConfigError("the hub is beyond this machine, and --offline (ARTGAN_OFFLINE) forbids to go there")
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ConfigError("the hub needs its library: pip install 'artgan[hub]'") from None
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="artgan")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
