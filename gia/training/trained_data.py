"""Data for a trained model: its own, or other data that it may know."""

from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningDataModule

from gia.data import Tokenizer
from gia.tasks.language_modeling import LanguageModeling
from gia.tasks.prediction import Prediction
from gia.tasks.task import Task

# What the data of a prediction must have in common with that of the training.
FEATURES = (
    *("node_categories", "node_channels", "edge_categories", "edge_channels"),
    *("encodings", "level", "out_channels"),
)


def trained_data(
    task: Task,
    config: DictConfig,
    other: DictConfig | None = None,
    *,
    whole: bool = False,
) -> LightningDataModule:
    """The data of a trained model, or other data that is read as the model knows it.

    Args:
        task, config: Of :func:`~gia.training.load_trained`.
        other (DictConfig, optional): A data configuration with its ``module``; or ``path`` and
            columns, such as ``smiles_column``, of another table for the same source, all of which
            is then the test part. Settings that are null are left out.
        whole (bool): Put everything into the test part.

    Returns:
        The datamodule, set up.

    Raises:
        ValueError: If the data has what the model does not know.
    """
    known = OmegaConf.to_container(config.inputs)
    given = {key: value for key, value in (other or {}).items() if value is not None}
    split = {"split": "none"} if whole else {}
    if "module" in given:
        config = config.copy()  # whose other settings the data may refer to
        with open_dict(config):
            target_type = config.data.get("target_type")
            config.data = other
            config.data.target_type = target_type  # the model's choice, not the data's
    elif given:
        return _of_table(task, config, known, given)
    if isinstance(task, LanguageModeling):
        return _of_language(known, config, split)
    classes = {"class_names": known["class_names"]} if known["class_names"] else {}
    data = instantiate(config.data.module, **classes, **split)
    data.setup()
    found = data.inputs()
    for key in FEATURES:
        if found[key] != known[key]:
            raise ValueError(
                f"the model was trained on data whose {key} is {known[key]}, but here it is "
                f"{found[key]}: give data of the same kind and columns"
            )
    return data


def _of_table(
    task: Task, config: DictConfig, known: dict[str, Any], given: dict[str, str]
) -> LightningDataModule:
    if not isinstance(task, Prediction):
        raise ValueError("other data for a language model needs its kind too: give data=fasta")
    data = instantiate(config.data.module).for_prediction(known, **given)
    data.setup()
    return data


def _of_language(
    known: dict[str, Any], config: DictConfig, split: dict[str, str]
) -> LightningDataModule:
    tokenizer = Tokenizer.from_config(known["tokenizer"])
    data = instantiate(config.data.module, tokenizer=tokenizer, **split)
    data.setup()
    if data.tokenizer != tokenizer:
        added = data.tokenizer.symbols[tokenizer.vocab_size :]
        raise ValueError(f"the data has classes that the model does not know: {' '.join(added)}")
    return data
