"""What is not worth saying."""

import logging
import warnings


def quiet() -> None:
    """Silence what Lightning says about hardware it did not find and workers it would like."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for noise in (
        ".*does not have many workers.*",
        ".*directory .* exists and is not empty.*",  # it holds config.yaml
        ".*LeafSpec.*",
        ".*dirpath has changed.*",  # a resumed run has a folder of its own
        ".*in eval mode at the start of training.*",  # what is frozen is meant to be
    ):
        warnings.filterwarnings("ignore", noise)
