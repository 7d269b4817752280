"""What a language model writes while it is trained."""

import pytest
import torch
from runs import peptides_fasta, small_run

from gia.training import Run, Samples

ADDED = [
    "+callbacks.samples._target_=gia.training.Samples",
    "+callbacks.samples.number=3",
    "+callbacks.samples.max_new_tokens=5",
    "+callbacks.samples.temperature=1.0",
    "trainer.max_epochs=2",
]


def trained(folder, fasta, *settings):
    run = Run.from_config(small_run(folder, fasta, *settings))
    run.trainer.fit(run.task, run.datamodule)
    return run


def test_a_model_from_scratch_continues_its_validation_sequences(tmp_path):
    """And is trained as it is without."""
    fasta = peptides_fasta(tmp_path)
    run = trained(tmp_path / "run", fasta, *ADDED)
    samples = next(one for one in run.trainer.callbacks if isinstance(one, Samples)).written
    steps = [row["step"] for row in run.history.epochs]
    assert [sample["step"] for sample in samples] == [step for step in steps for _ in range(3)]
    for sample, graph in zip(samples, run.datamodule.val_data[:3] * 2, strict=True):
        assert sample["prompt"] + sample["reference"] == graph.text
        assert 0 < len(sample["sample"]) <= 5 or not sample["sample"]
    assert any(sample["sample"] for sample in samples)
    text = (tmp_path / "run" / "samples.txt").read_text()
    assert text.count("== step") == 6
    plain = trained(tmp_path / "plain", fasta, "trainer.max_epochs=2")
    for key, value in plain.task.state_dict().items():
        assert torch.equal(value, run.task.state_dict()[key]), key


@pytest.mark.parametrize("option", ["number", "max_new_tokens"])
def test_numbers_out_of_range_are_named(option):
    with pytest.raises(
        ValueError, match=rf"callbacks\.samples\.{option} must be at least 1, got 0"
    ):
        Samples(**{option: 0})
