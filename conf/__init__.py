"""The configuration of gia, read by Hydra as ``pkg://gia.conf``."""
