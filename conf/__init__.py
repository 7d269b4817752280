"""The configuration of gia, read by Hydra as ``pkg://gia.conf``."""

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

# Where a dataset of anyone's is named, with arguments that no file here can list: the only part of
# the configuration that takes new keys, so that data.dataset.root=... needs no plus sign.
ConfigStore.instance().store(
    group="data",
    name="_dataset",
    node=DictConfig(
        {"dataset": DictConfig({"_target_": "???", "_partial_": True}, flags={"struct": False})}
    ),
)
