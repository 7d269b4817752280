"""Pretrained models at the console: trained, resumed, measured, asked; and what can be wrong."""

import json
import shutil

import pytest
import torch
from bases import CHAT, as_gguf, base_and_sums, tiny_base
from runs import EVERY_CHECKPOINT, compose_config, gia

from gia.training import Run, load_trained

OFFLINE = {"HF_HUB_OFFLINE": "1"}
FAST = [
    "adapter=sparse_gin",
    "data=instruct",
    "data.prompt_field=question",
    "data.max_length=64",
    "data.batch_size=8",
    "data.tokens_per_batch=null",
    "optimizer.lr=1e-2",
    "trainer.max_epochs=3",
    "callbacks.progress_bar=null",
    "callbacks.samples.max_new_tokens=8",
    "logger.tensorboard=null",
    "name=test",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return base_and_sums(tmp_path_factory.mktemp("instruct"))


def settings(place, *more):
    """Of a small run; what is given twice is what is given last."""
    data = [f"model.base={place / 'base'}", f"data.path={place / 'sums.jsonl'}"]
    given = {setting.partition("=")[0]: setting for setting in [*FAST, *data, *more]}
    return list(given.values())


@pytest.fixture(scope="module")
def trained(place):
    done = gia("train", *settings(place, "run_dir=run"), cwd=place, **OFFLINE)
    return place, done


def test_a_run_leaves_everything_behind(trained):
    place, done = trained
    run = place / "run"
    names = {path.name for path in run.iterdir()}
    assert {"samples.txt", "summary.json", "learning_curves.png", "attention_graph.png"} <= names
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test"]["loss"] < summary["base_test_loss"]  # which has learned nothing
    assert summary["test"]["perplexity"] == pytest.approx(
        torch.tensor(summary["test"]["loss"]).exp().item(), rel=1e-4
    )
    assert "the base" in done.stdout
    assert "scored: answers and their ends" in done.stdout
    assert summary["epochs"] == 3


def test_samples_are_written_at_each_validation(trained):
    place, _ = trained
    samples = (place / "run" / "samples.txt").read_text()
    assert samples.count("== step") == 6  # two of each of three validations
    first = samples.split("-- prompt\n")[1].splitlines()[0]
    assert first.startswith("What is ")
    assert "-- reference\nIt is " in samples


def test_a_checkpoint_holds_the_adapter_alone(trained):
    place, _ = trained
    checkpoint = torch.load(place / "run/checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["state_dict"]
    assert all("gia_adapters" in name for name in checkpoint["state_dict"])
    numbers = sum(value.numel() for value in checkpoint["state_dict"].values())
    base = sum(p.stat().st_size for p in (place / "base").glob("*.safetensors")) / 4
    assert numbers < base / 10


def test_evaluate_repeats_the_test_and_generate_answers(trained):
    place, _ = trained
    best = "ckpt_path=run/checkpoints/best.ckpt"
    loss = json.loads((place / "run" / "summary.json").read_text())["test"]["loss"]
    assert f"{loss:.4f}" in gia("evaluate", best, cwd=place, **OFFLINE).stdout
    other = gia("evaluate", best, f"data.path={place / 'sums.jsonl'}", cwd=place, **OFFLINE)
    assert "perplexity" in other.stdout
    arguments = [best, "prompt=What is 5 and 5?", "num_samples=2", "max_new_tokens=6"]
    lines = gia("generate", *arguments, "temperature=0", cwd=place, **OFFLINE).stdout.splitlines()
    assert lines[0] == ">sample_1"
    assert lines[1] == "What is 5 and 5?"  # and the answer in a line of its own, by the template
    task, _ = load_trained(place / "run" / "checkpoints" / "best.ckpt")
    (text,) = task.generate("What is 5 and 5?", max_new_tokens=6, temperature=0)
    assert "\n".join(lines[1:]).startswith(text)
    assert len(text) > len("What is 5 and 5?\n")


def test_a_base_that_has_moved_is_named(trained, tmp_path):
    place, _ = trained
    shutil.copytree(place / "base", tmp_path / "moved")
    shutil.copytree(place / "run" / "checkpoints", tmp_path / "checkpoints")
    shutil.move(place / "base", place / "gone")
    best = "ckpt_path=checkpoints/best.ckpt"
    try:
        lost = gia("generate", best, cwd=tmp_path, check=False, **OFFLINE)
        assert lost.returncode == 1
        assert lost.stderr.startswith("gia: there is no model ")
        assert len(lost.stderr.strip().splitlines()) == 1
        found = gia("generate", best, "base=moved", "num_samples=1", cwd=tmp_path, **OFFLINE)
        assert found.stdout.startswith(">sample_1")
    finally:
        shutil.move(place / "gone", place / "base")


@pytest.mark.parametrize("adapter", ["lora", "full", "none"])
def test_all_that_can_be_trained(adapter, place):
    name = f"of_{adapter}"
    choice = [f"adapter={adapter}", f"run_dir={name}", "data.loss_on=all"]
    done = gia("train", *settings(place, *choice), cwd=place, check=False, **OFFLINE)
    assert done.returncode == 0, done.stderr
    summary = json.loads((place / name / "summary.json").read_text())
    assert "scored: every symbol" in done.stdout
    if adapter == "none":
        assert summary["parameters"] == 0
        assert summary["base_test_loss"] is None
        assert "model: 0 parameters" in done.stdout
    else:
        much = 2 if adapter == "full" else 0
        assert summary["test"]["loss"] < summary["base_test_loss"] - much
    best = f"ckpt_path={name}/checkpoints/best.ckpt"
    again = gia("evaluate", best, cwd=place, **OFFLINE)
    assert f"{summary['test']['loss']:.4f}" in again.stdout


def test_a_gguf_file_is_trained_and_asked(place, tmp_path):
    base = as_gguf(place / "base", tmp_path / "tiny.gguf")
    arguments = settings(place, f"model.base={base}", "adapter=graph_lora", "run_dir=run")
    gia("train", *arguments, "debug=fast", cwd=tmp_path, **OFFLINE)
    best = ["ckpt_path=run/checkpoints/best.ckpt", "prompt=What is 5 and 5?", "num_samples=1"]
    said = gia("generate", *best, "max_new_tokens=3", cwd=tmp_path, **OFFLINE).stdout
    assert said.startswith(">sample_1")


def test_windows_of_a_text(place):
    (place / "text.txt").write_text("What is 12 and 7? It is 19. Three numbers are odd. " * 60)
    arguments = [f"model.base={place / 'base'}", "data=text", "data.path=text.txt"]
    arguments += ["data.max_length=16", *FAST[4:], "run_dir=of_text", "adapter=lora"]
    done = gia("train", *arguments, cwd=place, check=False, **OFFLINE)
    assert done.returncode == 0, done.stderr
    summary = json.loads((place / "of_text" / "summary.json").read_text())
    assert summary["test"]["loss"] < summary["base_test_loss"]
    written = gia(
        "generate", "ckpt_path=of_text/checkpoints/best.ckpt", "prompt=What is", "num_samples=1",
        cwd=place, **OFFLINE,
    ).stdout  # fmt: skip
    assert written.splitlines()[1].startswith("What is")


def test_a_chat_is_asked_by_its_template(place, tmp_path):
    tiny_base(tmp_path / "chats", chat=CHAT)
    arguments = settings(place, f"model.base={tmp_path / 'chats'}", "adapter=lora", "run_dir=run")
    gia("train", *arguments, "debug=fast", cwd=tmp_path, **OFFLINE)
    task, config = load_trained(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert config.inputs.template == "chat"
    (text,) = task.generate("5?", max_new_tokens=1, temperature=0)
    assert text.startswith("<|user|>5?<|end|><|assistant|>")


TRAINING = [
    "trainer.max_epochs=2",
    "trainer.accumulate_grad_batches=2",
    "trainer.limit_train_batches=9",
    "data.batch_size=4",
    "logger=default",
    "logger.csv=null",
    *EVERY_CHECKPOINT,
]


@pytest.mark.parametrize("adapter", ["sparse_gin", "graph_lora", "lora", "full"])
def test_resumed_equals_never_interrupted(adapter, place, tmp_path):
    """Bit for bit, from the middle of an epoch and from its end, with dropout and samples."""
    dropout = {
        "sparse_gin": ["+adapter.dropout=0.2"],
        "graph_lora": ["+adapter.lora_dropout=0.2"],
        "lora": ["adapter.lora_dropout=0.2"],
        "full": [],
    }

    def run(name, *more):
        choice = [f"adapter={adapter}", *dropout[adapter], f"run_dir={tmp_path / name}"]
        return Run.from_config(compose_config(*settings(place, *choice, *TRAINING, *more)))

    whole = run("whole")
    whole.trainer.fit(whole.task, whole.datamodule)
    end = {key: value.clone() for key, value in whole.task.state_dict().items()}
    for name in ("step2.ckpt", "epoch0.ckpt", "step7.ckpt"):
        torch.manual_seed(123)  # the state of this process must not matter
        path = tmp_path / "whole" / "checkpoints" / name
        again = run(path.stem, f"ckpt_path={path}")
        again.trainer.fit(
            again.task, again.datamodule, ckpt_path=again.ckpt_path, weights_only=True
        )
        found = again.task.state_dict()
        assert found.keys() == end.keys()
        assert all(torch.equal(found[key], end[key]) for key in end), name
        samples = [(tmp_path / of / "samples.txt").read_text() for of in ("whole", path.stem)]
        assert samples[0] == samples[1]
        state = torch.load(path, weights_only=True)["state_dict"]
        assert any(not torch.equal(state[key], end[key]) for key in end)


BAD = {
    "fields": (["data.prompt_field=prompt"], "give data.prompt_field=question"),
    "context": (["data.max_length=65"], "reads at most 64 tokens"),
    "base": (["model.base=./nowhere"], "there is no model ./nowhere"),
    "adapter": (["adapter=lora", "adapter.r=0"], "adapter.r must be a whole number"),
    "targets": (["adapter=lora", "adapter.target_modules=[nope]"], "nope"),
    "option": (["+adapter.nope=1"], "nope"),
    "end": (["tokenizer.eos_token=<end>"], "'<end>' is no token"),
    "chat": (["data.template=chat"], "has none: give tokenizer.chat_template=FILE"),
    "loss": (["data.loss_on=prompts"], "data.loss_on must be one of answers, all"),
    "strict": (["data.strict=true", "data.max_length=12"], "data.strict=true, but"),
    "missing base": (["model.base=???"], "model.base is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_in_one_line(case, place, tmp_path):
    arguments, message = BAD[case]
    done = gia("train", *settings(place, *arguments), cwd=tmp_path, check=False, **OFFLINE)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_an_adapter_of_one_kind_is_not_taken_for_another(trained):
    place, _ = trained
    last = f"ckpt_path={place / 'run/checkpoints/last.ckpt'}"
    arguments = settings(place, "adapter=lora", last)
    done = gia("train", *arguments, cwd=place, check=False, **OFFLINE)
    assert done.returncode == 1
    assert "holds another architecture" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_bad_lines_are_told_before_training(place, tmp_path):
    text = (place / "sums.jsonl").read_text()
    (tmp_path / "bad.jsonl").write_text('{"question": \n\n' + text)
    arguments = [*settings(place), f"data.path={tmp_path / 'bad.jsonl'}", "debug=fast"]
    done = gia("train", *arguments, "run_dir=run", cwd=tmp_path, **OFFLINE)
    assert "2 rows skipped" in done.stdout
    assert "row 0 (bad.jsonl:1): no JSON:" in done.stdout
    assert "row 1 (bad.jsonl:2): an empty line" in done.stdout
    assert done.stdout.index("2 rows skipped") < done.stdout.index("perplexity")
