"""A model starts from another's encoder and blocks, and says what it took."""

import csv
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from runs import compose_config, peptides_fasta, small_run
from torch import nn

from gia.data import CharTokenizer, Compounds
from gia.tasks.task import FORMAT
from gia.training import RefusedError, Run
from gia.training.init_from import take

EPOCH = ["trainer.max_epochs=1", "scheduler.warmup_steps=2", "optimizer.lr=1e-2"]


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A language model of peptides, trained for an epoch."""
    folder = tmp_path_factory.mktemp("init_from")
    fasta = peptides_fasta(folder)
    run = Run.from_config(small_run(folder / "first", fasta, *EPOCH))
    run.fit()
    return SimpleNamespace(
        folder=folder, fasta=fasta, ckpt=folder / "first" / "checkpoints" / "last.ckpt"
    )


def states(path):
    state = torch.load(path, weights_only=True)["state_dict"]
    return {name.removeprefix("model."): value for name, value in state.items()}


def start(language, folder, *settings, init_from=None):
    path = f"init_from={init_from or language.ckpt}"
    return Run.from_config(small_run(folder, language.fasta, *EPOCH, path, *settings))


def test_encoder_and_blocks_are_taken_and_it_is_said(language, tmp_path):
    run = start(language, tmp_path / "run", "model.depth=3", "seed=5")
    other, model = states(language.ckpt), run.task.model.state_dict()
    taken = [name for name in model if name.startswith(("encoder.", "blocks.0.", "blocks.1."))]
    assert taken
    assert all(torch.equal(model[name], other[name]) for name in taken)
    assert any(name.startswith("blocks.2.") and name not in other for name in model)
    first, *rest = run.notes
    total = len([name for name in model if name.startswith(("encoder.", "blocks."))])
    assert first.startswith(f"init_from={language.ckpt}: {len(taken)} of {total} tensors")
    per_block = len([name for name in model if name.startswith("blocks.0.")])
    assert rest[0].endswith(f", blocks.0 ({per_block}), blocks.1 ({per_block})")
    assert rest[1:] == [f"  new here: blocks.2 ({per_block}), norm.weight (1)"]
    shorter = start(language, tmp_path / "short", "model.depth=1")
    assert shorter.notes[-1] == f"  left behind: blocks.1 ({per_block})"


def test_the_encoder_of_edges_is_taken_and_frozen_with_that_of_nodes():
    names = ["encoder", "edge_encoder", "blocks", "norm", "head"]
    model, other = (nn.ModuleDict({name: nn.Linear(3, 3) for name in names}) for _ in range(2))
    settings = {"model": {"width": 3}, "inputs": {}}
    state = {f"model.{key}": value for key, value in other.state_dict().items()}
    source = {"hyper_parameters": {"settings": settings}, "state_dict": state}
    cfg = OmegaConf.create({"init_from": "x.ckpt", "freeze": "encoder", "init_lr": 1.0})
    begun, notes = take(model, source, cfg, settings)
    for name in names:
        same = torch.equal(model[name].weight, other[name].weight)
        assert same == (name in ("encoder", "edge_encoder", "blocks")), name
    roots = {name.partition(".")[0] for name in begun.frozen}
    assert roots == {"encoder", "edge_encoder"}
    assert notes[0].startswith("init_from=x.ckpt: 6 of 6 tensors")
    assert "  new here: norm.weight (1), norm.bias (1)" in notes


def test_only_embeddings_of_symbols_are_put_in_another_order():
    """Other matrices may have as many rows as there are symbols."""
    there, here = CharTokenizer("AC"), CharTokenizer("CA")
    size = len(there.symbols)

    def model():
        encoder = {"token": nn.Embedding(size, 4), "lin": nn.Linear(4, size)}
        return nn.ModuleDict({"encoder": nn.ModuleDict(encoder)})

    ours, theirs = model(), model()
    inputs = [{"tokenizer": tokenizer.to_config()} for tokenizer in (there, here)]
    state = {f"model.{key}": value for key, value in theirs.state_dict().items()}
    settings = [{"model": {"width": 4}, "inputs": own} for own in inputs]
    source = {"hyper_parameters": {"settings": settings[0]}, "state_dict": state}
    cfg = OmegaConf.create({"init_from": "x.ckpt", "freeze": None, "init_lr": 1.0})
    take(ours, source, cfg, settings[1])
    assert torch.equal(ours["encoder"]["lin"].weight, theirs["encoder"]["lin"].weight)
    order = [there.symbols.index(symbol) for symbol in here.symbols]
    expected = theirs["encoder"]["token"].weight[order]
    assert torch.equal(ours["encoder"]["token"].weight, expected)
    assert not torch.equal(expected, theirs["encoder"]["token"].weight)


def test_it_trains_better_from_the_first_step_on(language, tmp_path):
    losses = []
    for name, settings in (("new", []), ("taken", [f"init_from={language.ckpt}"])):
        run = Run.from_config(small_run(tmp_path / name, language.fasta, *EPOCH, *settings))
        losses.append(run.fit()["test/loss"])
    assert losses[1] < losses[0]


@pytest.mark.parametrize("freeze", ["encoder", "blocks", "taken"])
def test_what_is_frozen_is_not_trained(language, tmp_path, freeze):
    # A norm that counts and a new block beside the frozen ones.
    run = start(language, tmp_path / "run", f"freeze={freeze}", "model.depth=3")
    before = {name: value.clone() for name, value in run.task.model.state_dict().items()}
    run.trainer.fit(run.task, run.datamodule)
    roots = {"taken": ("encoder.", "blocks.0.", "blocks.1.")}.get(freeze, (f"{freeze}.",))
    frozen = [
        name for name in before if name.startswith(roots) and not name.startswith("blocks.2.")
    ]
    assert frozen
    tied = {id(run.task.model.state_dict(keep_vars=True)[name]) for name in frozen}
    for name, value in run.task.model.state_dict(keep_vars=True).items():
        kept = name in frozen or id(value) in tied
        assert torch.equal(value, before[name]) == kept, name
    (optimizer,) = run.trainer.optimizers
    stepped = {id(parameter) for parameter in optimizer.state}
    assert stepped == {id(p) for p in run.task.model.parameters() if p.requires_grad}
    assert any(note.startswith("  frozen: ") for note in run.notes)


def test_frozen_layers_count_and_draw_nothing(language):
    batch_norm, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    model = nn.ModuleDict({"encoder": batch_norm, "blocks": nn.ModuleList([other])})
    settings = {"model": {"width": 3}, "inputs": {}}
    state = {f"model.{key}": value + 1 for key, value in model.state_dict().items()}
    source = {"hyper_parameters": {"settings": settings}, "state_dict": state}
    cfg = OmegaConf.create({"init_from": "x.ckpt", "freeze": "encoder", "init_lr": 1.0})
    begun, _ = take(model, source, cfg, settings)
    from gia.tasks import Task

    task = Task(model, optimizer=torch.optim.SGD)
    task.start_from(begun.taken, begun.frozen, begun.init_lr)
    for mode in (True, False, True):
        task.train(mode)
        assert (batch_norm.training, other.training) == (False, mode)
    assert not batch_norm.weight.requires_grad
    model["encoder"](torch.randn(5, 3))
    assert batch_norm.num_batches_tracked == 1  # as it was taken
    with pytest.raises(ValueError, match="all of the model is frozen"):
        task.start_from(begun.taken, begun.taken, 1.0)


@pytest.mark.parametrize("attention", ["gin", "softmax"])
def test_frozen_blocks_give_the_same_twice(language, tmp_path, attention):
    """Dropout has no numbers of its own, and yet it draws nothing in what is frozen."""
    settings = ["model.dropout=0.5", f"attention={attention}"]
    first = Run.from_config(small_run(tmp_path / "first", language.fasta, *EPOCH, *settings))
    first.fit()
    best = tmp_path / "first" / "checkpoints" / "last.ckpt"
    frozen = [*settings, "freeze=taken", "model.depth=3"]
    model = start(language, tmp_path / "run", *frozen, init_from=best).task.train().model
    assert not any(part.training for part in model.encoder.modules())
    assert not any(part.training for block in model.blocks[:2] for part in block.modules())
    assert all(part.training for part in model.blocks[2].modules())


def test_what_was_taken_has_a_rate_of_its_own(language, tmp_path):
    run = start(language, tmp_path / "run", "init_lr=0.1", "model.depth=3", "optimizer.lr=0.02")
    optimizer = run.task.make_optimizer(run.task.parameters())
    assert optimizer.param_groups[0]["lr"] == 0.02
    run.trainer.fit(run.task, run.datamodule)
    (optimizer,) = run.trainer.optimizers
    rates = {
        id(parameter): group["initial_lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in run.task.model.named_parameters():
        taken = name.startswith(("encoder.", "blocks.0.", "blocks.1."))
        assert rates[id(parameter)] == pytest.approx(0.002 if taken else 0.02), name
        decays = next(
            group["weight_decay"] > 0
            for group in optimizer.param_groups
            if any(parameter is member for member in group["params"])
        )
        assert not decays or parameter.dim() > 1
    assert run.notes[-1] == "  learning rate of what was taken: 0.1 times that of the rest"


def test_such_a_run_is_resumed_without_the_other(language, tmp_path):
    """Law 10, with a part frozen and a part slowed down."""
    moved = tmp_path / "other.ckpt"
    moved.write_bytes(language.ckpt.read_bytes())
    settings = ["freeze=encoder", "init_lr=0.5", "model.depth=3", "trainer.max_epochs=3"]
    keep = ["callbacks.last.filename='epoch{epoch}'", "+callbacks.last.save_top_k=-1",
            "+callbacks.last.auto_insert_metric_name=false"]  # fmt: skip
    whole = start(language, tmp_path / "whole", *settings, *keep, init_from=moved)
    whole.trainer.fit(whole.task, whole.datamodule)
    moved.unlink()
    middle = tmp_path / "whole" / "checkpoints" / "epoch0.ckpt"
    for name, said in (("same", [f"init_from={moved}", *settings]), ("less", settings[2:])):
        cfg = small_run(tmp_path / name, language.fasta, *EPOCH, *said, f"ckpt_path={middle}")
        run = Run.from_config(cfg)
        assert run.notes == []
        run.trainer.fit(run.task, run.datamodule, ckpt_path=run.ckpt_path, weights_only=True)
        for key, value in whole.task.state_dict().items():
            assert torch.equal(run.task.state_dict()[key], value), key
        kept = OmegaConf.load(tmp_path / name / "config.yaml")
        assert (kept.freeze, kept.init_lr, kept.init_from) == ("encoder", 0.5, str(moved))
    cfg = small_run(
        tmp_path / "bad", language.fasta, *EPOCH, "model.depth=3", "freeze=blocks",
        f"ckpt_path={middle}",
    )  # fmt: skip
    with pytest.raises(ValueError, match="was trained with freeze=encoder, but here freeze=blocks"):
        Run.from_config(cfg)
    with pytest.raises(ValueError, match="did not start from another model: leave init_from out"):
        start(language, tmp_path / "bad", f"ckpt_path={language.ckpt}")


def test_symbols_keep_their_numbers_in_another_order(language, tmp_path):
    other = "YWVTSRQPNMLKIHGFEDCA"
    run = start(language, tmp_path / "run", f"data.alphabet={other}")
    there = OmegaConf.load(language.folder / "first" / "config.yaml").data.alphabet
    names = [name for name, value in states(language.ckpt).items()
             if name.startswith("encoder.") and value.dim() == 2]  # fmt: skip
    assert names
    for name in names:
        here, old = run.task.model.state_dict()[name], states(language.ckpt)[name]
        assert not torch.equal(here, old)
        for symbol in other:  # three special tokens come first
            ours, theirs = here[3 + other.index(symbol)], old[3 + there.index(symbol)]
            assert torch.equal(ours, theirs)
    with pytest.raises(ValueError, match=r"does not know the symbols X Z: give data of the same"):
        start(language, tmp_path / "bad", "data.alphabet=ACDEFGHIKLMNPQRSTVWYXZ")


BAD = {
    "width": (["model.width=8"], r"model.width=16, but here model.width=8: give model.width=16"),
    "heads": (["model.heads=4"], r"model.heads=2, but here model.heads=4: give model.heads=2"),
    "freeze": (["freeze=all"], "freeze must be encoder, blocks, taken or null, got 'all'"),
    "rate": (["init_lr=0"], "init_lr must be above 0, got 0: freeze=taken leaves"),
    "no file": (["init_from=none.ckpt"], r"there is no checkpoint none.ckpt: give init_from=..."),
    "nothing": (["init_from=null", "freeze=taken"], "give init_from=... a checkpoint"),
    "no rate": (["init_from=null", "init_lr=0.5"], "give init_from=... a checkpoint"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(language, tmp_path, case):
    settings, message = BAD[case]
    with pytest.raises(ValueError if case != "no file" else FileNotFoundError, match=message):
        start(language, tmp_path / "run", *settings)
    assert not (tmp_path / "run").exists()


def test_where_nothing_matches_there_is_an_error():
    settings = {"model": {"width": 3}, "inputs": {}}
    source = {
        "hyper_parameters": {"format": FORMAT, "settings": settings},
        "state_dict": {"model.encoder.weight": torch.ones(5), "model.blocks.0.a": torch.ones(2),
                       "model.head.weight": torch.ones(3)},
    }  # fmt: skip
    cfg = OmegaConf.create({"init_from": "x.ckpt", "freeze": None, "init_lr": 1.0})
    nothing = nn.ModuleDict({"encoder": nn.LayerNorm(3), "head": nn.LayerNorm(3)})
    with pytest.raises(
        ValueError, match="nothing of its encoder and blocks has the name and shape"
    ):
        take(nothing, source, cfg, settings)
    cfg.freeze = "blocks"
    encoder = nn.ModuleDict({"encoder": nn.LayerNorm(5), "head": nn.LayerNorm(3)})
    with pytest.raises(ValueError, match=r"freeze=blocks, but nothing of it .* encoder.weight \(1"):
        take(encoder, source, cfg, settings)


def test_a_file_that_names_what_it_may_not_is_refused(language, tmp_path):
    checkpoint = torch.load(language.ckpt, weights_only=True)
    plant = {"_target_": "pathlib.Path.touch", "self": {"_target_": "pathlib.Path"}}
    checkpoint["hyper_parameters"]["settings"]["model"]["norm"] = plant
    torch.save(checkpoint, tmp_path / "x.ckpt")
    with pytest.raises(RefusedError, match=r"at model\.norm it names 'pathlib\.Path\.touch'"):
        start(language, tmp_path / "run", init_from=tmp_path / "x.ckpt")


def test_a_classification_starts_from_a_regression(tmp_path):
    """Another task, another head: the encoder and the blocks of a model of molecules."""
    _, rows = Compounds("melting_point").table()
    with (tmp_path / "molecules.csv").open("w", newline="") as file:
        lines = [[*row.values()] for row in rows[::120]]
        lines = [[*line, "high" if float(line[2]) > 350 else "low"] for line in lines]
        csv.writer(file).writerows([["cas", "smiles", "Tm", "class"], *lines])
    common = [
        "data=molecules", f"data.path={tmp_path}/molecules.csv", "data.smiles_column=smiles",
        "model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24", "name=test",
        "callbacks.progress_bar=null", "logger.tensorboard=null", *EPOCH,
    ]  # fmt: skip
    first = compose_config(*common, "data.target_column=Tm", f"run_dir={tmp_path}/numbers")
    instantiate(first.runner)(first).fit()
    best = tmp_path / "numbers" / "checkpoints" / "best.ckpt"
    second = compose_config(
        *common, "data.target_column=class", "task=classification", f"run_dir={tmp_path}/classes",
        f"init_from={best}", "freeze=encoder", "init_lr=0.3",
    )  # fmt: skip
    run = Run.from_config(second)
    other = states(best)
    for name, value in run.task.model.state_dict().items():
        if name.startswith(("encoder.", "blocks.")):
            assert torch.equal(value, other[name]), name
    assert not any("blocks" in note for note in run.notes if "new here" in note)
    assert 0 <= run.fit()["test/accuracy"] <= 1
    for name, value in run.task.model.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(value, other[name]), name


def test_a_prediction_starts_from_a_language_model(language, tmp_path):
    """What was learned of peptides without labels begins a model of their activity."""
    sizes = ["model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"]
    quiet = ["callbacks.progress_bar=null", "logger.tensorboard=null", "name=test"]
    cfg = compose_config(
        "data=peptide_activity", "model=sequence_transformer", *sizes, *quiet, *EPOCH,
        f"run_dir={tmp_path}/run", f"init_from={language.ckpt}", "trainer.limit_train_batches=4",
        "trainer.limit_val_batches=1", "trainer.limit_test_batches=1",
    )  # fmt: skip
    run = Run.from_config(cfg)
    other = states(language.ckpt)
    for name, value in run.task.model.state_dict().items():
        if name.startswith(("encoder.", "blocks.")):
            assert torch.equal(value, other[name]), name
    # Nothing is left behind.
    assert run.notes[2:] == ["  new here: edge_encoder.features (1), norm.weight (1)"]
    assert run.fit()["test/loss"] > 0
