"""Data for a trained model: its own, or other data that it may know."""

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule

from gia.data import Tokenizer
from gia.training.language_modeling import LanguageModeling
from gia.training.task import Task

# What the data of a prediction must have in common with that of the training.
FEATURES = (
    *("node_categories", "node_channels", "edge_categories", "edge_channels"),
    *("rwse", "laplacian", "level", "out_channels"),
)


def trained_data(task: Task, config: DictConfig) -> LightningDataModule:
    """The data that a configuration names, with the symbols and classes of the trained model.

    Args:
        task, config: Of :func:`~gia.training.load_trained`; ``config.data`` may be another.

    Returns:
        The datamodule, set up.

    Raises:
        ValueError: If the data has what the model does not know.
    """
    known = OmegaConf.to_container(config.inputs)
    if isinstance(task, LanguageModeling):
        return _of_language(known, config)
    data = instantiate(config.data.module, class_names=known["class_names"] or None)
    data.setup()
    found = data.inputs()
    for key in FEATURES:
        if found[key] != known[key]:
            raise ValueError(
                f"the model was trained on data whose {key} is {known[key]}, but here it is "
                f"{found[key]}: give data of the same kind and columns"
            )
    return data


def _of_language(known: dict, config: DictConfig) -> LightningDataModule:
    tokenizer = Tokenizer.from_config(known["tokenizer"])
    data = instantiate(config.data.module, tokenizer=tokenizer)
    data.setup()
    if data.tokenizer != tokenizer:
        added = data.tokenizer.symbols[tokenizer.vocab_size :]
        raise ValueError(f"the data has classes that the model does not know: {' '.join(added)}")
    return data
