import errno

import pytest
import torch
from laws import make_model

from gia.tasks.task import FORMAT
from gia.training import AtomicCheckpointIO, check_architecture, load_checkpoint

CHECKPOINT = {"hyper_parameters": {"format": FORMAT, "settings": {}}, "state_dict": {}}


def test_a_checkpoint_is_written_and_read(tmp_path):
    path = tmp_path / "new" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    assert load_checkpoint(path) == CHECKPOINT
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("zip writer")]
)
def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch, error):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    before = path.read_bytes()

    def half_a_write(checkpoint, file):
        file.write(b"half of a checkp")
        raise error

    monkeypatch.setattr(torch, "save", half_a_write)
    with pytest.raises(OSError, match=r"cannot write the checkpoint .*last.ckpt .*make room"):
        AtomicCheckpointIO().save_checkpoint(CHECKPOINT | {"more": 1}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_an_interrupt_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    before = path.read_bytes()

    def interrupted(checkpoint, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    assert path.read_bytes() == before


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*none.ckpt: give ckpt_path="):
        load_checkpoint(tmp_path / "none.ckpt")
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"damaged.ckpt is not a readable checkpoint"):
        load_checkpoint(damaged)
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    with pytest.raises(ValueError, match=r"foreign.ckpt was not written by gia"):
        load_checkpoint(foreign)


def saved(model):
    return {"state_dict": {f"model.{key}": value for key, value in model.state_dict().items()}}


def test_another_architecture_is_named_by_its_first_difference():
    check_architecture(make_model("gin"), saved(make_model("gin")), "x.ckpt")
    with pytest.raises(ValueError, match=r"x.ckpt .*: encoder.token.weight has shape \[11, 16\]"):
        check_architecture(make_model("gin"), saved(make_model("gin", vocab_size=12)), "x.ckpt")
    with pytest.raises(
        ValueError, match=r"blocks.0.attention.conv.eps has shape \[2\].* none in the"
    ):
        check_architecture(make_model("gin"), saved(make_model("softmax")), "x.ckpt")
    smaller = saved(make_model("gin"))
    extra = {"state_dict": smaller["state_dict"] | {"model.more": torch.zeros(3)}}
    with pytest.raises(ValueError, match=r"more is missing in this model, shape \[3\]"):
        check_architecture(make_model("gin"), extra, "x.ckpt")
