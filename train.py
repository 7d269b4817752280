"""Train a graph-aware transformer: ``python train.py --help`` says how."""

from gia.cli import train

if __name__ == "__main__":
    train()
