"""Data for a trained model: its own, or other data that it may know."""

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from gia.data import DataModule

# What a command asks for of any file.
COLUMNS = ("path", "smiles_column", "sequence_column", "name_column", "target_column")


def trained_data(
    config: DictConfig, other: DictConfig | None = None, *, whole: bool = False
) -> DataModule:
    """The data of a trained model, or other data that is read as the model knows it.

    Args:
        config (DictConfig): Of :func:`~gia.training.load_trained`.
        other (DictConfig, optional): A data configuration with its ``_target_``; or ``path`` and
            columns, such as ``smiles_column``, of another file for the same kind of dataset, all
            of which is then the test part. Settings that are null are left out.
        whole (bool): Put everything into the test part.

    Returns:
        The datamodule, set up.

    Raises:
        ValueError: If the data has what the model does not know.
    """
    known = OmegaConf.to_container(config.inputs)
    given = {}
    if other is not None and "_target_" in other:
        config = config.copy()  # whose other settings the data may refer to
        with open_dict(config):
            target_type = config.data.target_type
            config.data = other
            config.data.target_type = target_type  # the model's choice, not the data's
            for column in COLUMNS:  # those that nobody named are not of every dataset
                if column in config.data and config.data[column] is None:
                    del config.data[column]
    else:
        given = {key: value for key, value in (other or {}).items() if value is not None}
    data = instantiate(config.data).for_model(known, whole=whole, **given)
    data.setup()
    return data
