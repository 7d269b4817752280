"""Data for a trained model: its own, or other data that it may know."""

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from gia.data import DataModule, Items, read_tokenizer
from gia.data.collect import collect
from gia.data.datasets import Dataset

# What a command asks for of any file.
COLUMNS = ("path", "smiles_column", "sequence_column", "name_column", "target_column")
ASKED = (*COLUMNS, "split_file", "features_path")
# What else a model has chosen of the data.
FEATURES = ("features", "feature_columns")


def trained_data(
    config: DictConfig,
    other: DictConfig | None = None,
    *,
    whole: bool = False,
    set_up: bool = True,
) -> DataModule:
    """The data of a trained model, or other data that is read as the model knows it.

    Random numbers are seeded as they were for the training, so that data that is drawn is drawn
    again.

    Args:
        config (DictConfig): Of :func:`~gia.training.load_trained`.
        other (DictConfig, optional): A data configuration with its ``_target_``; or ``path`` and
            columns, such as ``smiles_column``, of another file for the same kind of dataset, all
            of which is then the test part; or ``split_file`` for its own data. Settings that are
            null are left out.
        whole (bool): Put everything into the test part.
        set_up (bool): Read it. Other data may be left to be read later, in parts.

    Returns:
        The datamodule.

    Raises:
        ValueError: If the data has what the model does not know, or its own data has changed since
            the training, so that the parts are others.
    """
    known = OmegaConf.to_container(config.inputs)
    given = {}
    if other is not None and "_target_" in other:
        config = _with_data(config, other)
    else:
        given = {key: value for key, value in (other or {}).items() if value is not None}
    pl.seed_everything(config.get("seed", 0), workers=True, verbose=False)
    data = instantiate(config.data).for_model(known, whole=whole, **given)
    if set_up:
        data.setup()
    if not (whole or given or (other is not None and "_target_" in other)):
        _check_parts(config, data)
    return data


def other_items(config: DictConfig, other: DictConfig) -> Items:
    """All items of other data in the symbols of a trained model, with whatever else they have that
    the model has never heard of, such as edges; without their targets.

    Args:
        config (DictConfig): Of :func:`~gia.training.load_trained`.
        other (DictConfig): A data configuration with its ``_target_``.

    Raises:
        OSError, ImportError, ValueError: If the data cannot be read.
    """
    try:
        dataset = instantiate(_with_data(config, other).data).dataset
    except TypeError as error:  # as configured it is read by a file, and none is named
        if other.get("path") is not None:
            raise
        raise ValueError("data.path is missing: give data.path=...") from error
    if not isinstance(dataset, Dataset):
        return collect(dataset, target_type="masked", labelled=False)
    changes = {"target_type": "masked", "labelled": False}
    if getattr(dataset, "tokenizer", None) is not None and config.inputs.get("tokenizer"):
        changes["tokenizer"] = read_tokenizer(OmegaConf.to_container(config.inputs.tokenizer))
    return dataset.but(**changes).items


def _with_data(config: DictConfig, other: DictConfig) -> DictConfig:
    """The configuration of a trained model with other data in it."""
    config = config.copy()  # whose other settings the data may refer to
    with open_dict(config):
        target_type = config.data.target_type
        features = {name: config.data[name] for name in FEATURES if config.data.get(name)}
        config.data = other
        config.data.target_type = target_type  # the model's choice, not the data's
        for name, value in features.items():
            if config.data.get(name) is None:
                config.data[name] = value
        for column in ASKED:  # those that nobody named are not of every dataset
            if column in config.data and config.data[column] is None:
                del config.data[column]
    return config


def _check_parts(config: DictConfig, data: DataModule) -> None:
    """See that a model's own data has the parts that it had in the training."""
    if data.fingerprint() != config.split_fingerprint:
        file = f"{config.get('run_dir', 'RUN')}/splits.csv"
        raise ValueError(
            "the data or its split is not that of the training, so that its test part may hold "
            "what the model was trained on: if rows were only added at the end, give "
            f"data.split_file={file}; for all of it as it is now, gia evaluate part=all"
        )
