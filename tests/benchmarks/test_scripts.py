"""Every benchmark runs from its command line, and names its ratios as the targets do."""

import json
import re
import sys

import adapter_models
import adapters
import all as everything
import attention
import generate
import graph_models
import graphs
import kernels
import layers
import model
import ops
import precision
import pytest
import sparse
import sums
import torch
import variants
from hydra.utils import instantiate

import gia.nn
from gia.data import DataModule, Records
from gia.nn import count_parameters
from gia.training import resolve_model

del sys.modules["sparse"]  # by this name scipy looks for a package

pytestmark = pytest.mark.slow

SMALL = ["--threads", "1", "--seconds", "0", "--repeats", "3"]
SMALL_MODEL = [*SMALL, "--width", "32", "--heads", "2", "--depth", "1", "--hidden", "96"]
SMALL_LAYERS = [
    *SMALL,
    "--width",
    "24",
    "--heads",
    "2",
    "--lengths",
    "16",
    "32",
    "--batches",
    "2",
    "1",
]
SMALL_STEPS = [*SMALL_MODEL, "--tokens", "512", "--batches", "1"]
SMALL_GENERATION = [*SMALL_MODEL, "--context", "12", "--contexts", "8", "16", "--new-tokens", "4"]
SMALL_GRAPHS = [
    *SMALL,
    *("--width", "24", "--heads", "2", "--channels", "4"),
    *("--sum-length", "40", "--dense-length", "24"),
    *("--lengths", "32", "--form-lengths", "16", "32", "--window-lengths", "16"),
]
OURS = ("gin", "pna", "softmax")
QUADRATIC = {"eager_gin": "gin", "eager_pna": "pna", "transformer_conv": "gin"}


@pytest.fixture(autouse=True)
def threads():
    """The scripts set the threads of this process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(script, tmp_path, *arguments):
    """The ratios that a script writes, and its section of RESULTS.md."""
    path, section = tmp_path / "ratios.json", tmp_path / "section.md"
    outputs = ["--json", str(path), "--markdown", str(section), "--plot", str(tmp_path / "p.png")]
    assert script.main([*arguments, *outputs]) == 0
    assert (tmp_path / "p.png").stat().st_size > 1000
    return json.loads(path.read_text()), section.read_text()


def test_attention_names_its_ratios(tmp_path, monkeypatch):
    measured = []

    def peak(prepare, case, tiny, *, threads, device):
        measured.append((case.layer, case.length))
        return 100 * case.length if case.layer == "sdpa" else 150 * case.length

    monkeypatch.setattr(layers, "peak_memory", peak)
    ratios, section = run(attention, tmp_path, *SMALL_LAYERS, "--memory-lengths", "64")
    expected = {"ragged_full_padded_over_gia"}
    for length in (16, 32):
        expected |= {f"{name}_over_sdpa_L{length}" for name in OURS}
        expected |= {f"{name}_forward_over_sdpa_L{length}" for name in OURS}
        expected |= {f"{name}_over_{ours}_L{length}" for name, ours in QUADRATIC.items()}
    for length in (16, 32, 64):
        names = (*OURS, *QUADRATIC)
        expected |= {f"peak_memory_{name}_over_sdpa_L{length}" for name in names}
    assert set(ratios) == expected
    assert all(value > 0 for value in ratios.values())
    assert ratios["peak_memory_gin_over_sdpa_L64"] == 1.5
    assert {length for _, length in measured} == {16, 32, 64}
    assert "45%" in section or "46%" in section


def test_attention_without_memory_in_bfloat16(tmp_path):
    ratios, _ = run(attention, tmp_path, *SMALL_LAYERS, "--dtype", "bfloat16", "--no-memory")
    assert "gin_over_sdpa_L32" in ratios
    assert not any("memory" in name for name in ratios)


def test_memory_that_cannot_be_measured_is_told(tmp_path, monkeypatch, capsys):
    def peak(prepare, case, tiny, **kwargs):
        raise MemoryError("it ran out") if case.layer == "gin" else RuntimeError("it broke")

    monkeypatch.setattr(layers, "peak_memory", peak)
    path = tmp_path / "ratios.json"
    assert attention.main([*SMALL_LAYERS, "--memory-lengths", "--json", str(path)]) == 1
    assert "gin_over_sdpa_L16" in json.loads(path.read_text())
    out = capsys.readouterr().out
    assert "it ran out" in out
    assert "FAILED: it broke" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lengths", "16", "32", "--batches", "1"], "--batches needs 2 numbers"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        attention.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "script", [attention, model, generate, variants, sparse, graphs, adapters, ops, everything]
)
def test_help_explains_every_argument(script, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    options = re.findall(r"^  (--\S+)(?: \S.*?)?(?:  +|\n +)\w", text, re.M)
    assert set(options) == set(re.findall(r"^  (--\S+)", text, re.M))
    assert {"--json", "--threads"} <= set(options)


def test_sparse_names_its_ratios(tmp_path, monkeypatch):
    def peak(prepare, case, tiny, *, threads, device):
        return {"gin": 100, "sparse_gin": 125}[case.layer]

    monkeypatch.setattr(layers, "peak_memory", peak)
    ratios, section = run(sparse, tmp_path, *SMALL_GRAPHS, "--memory-lengths", "64")
    expected = {f"{name}_over_sum_k16" for name, way in sums.SUMS.items() if way}
    expected |= {f"{name}_over_max_k16" for name, way in sums.MAXIMA.items() if way}
    expected |= {"dense_over_sum_k16_L24", "peak_memory_sparse_over_fused_L64"}
    expected |= {"window_layer_over_fused_L16"}
    for length in (16, 32):
        expected |= {f"{name}_layer_over_fused_L{length}" for name in ("sparse", "dense")}
        expected |= {f"dense_layer_over_sparse_L{length}"}
    assert set(ratios) == expected
    assert all(value > 0 for value in ratios.values())
    assert ratios["peak_memory_sparse_over_fused_L64"] == 1.25
    assert "(dense), over all pairs (fused)" in section


def test_sparse_says_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sparse.SUMS, "torch_sparse", None)
    monkeypatch.setattr(sparse, "available_memory", lambda device: 1000)
    ratios, section = run(sparse, tmp_path, *SMALL_GRAPHS, "--memory-lengths")
    assert "torch_sparse_over_sum_k16" not in ratios
    assert "| torch_sparse | not installed | - |" in section
    assert "Dense matrices at L 24 take" in section
    assert not any("memory" in name or "dense_over_sum" in name for name in ratios)


def test_memory_of_sparse_graphs_that_cannot_be_measured_is_told(tmp_path, monkeypatch, capsys):
    def peak(prepare, case, tiny, **kwargs):
        raise MemoryError("it ran out") if case.layer == "gin" else RuntimeError("it broke")

    monkeypatch.setattr(layers, "peak_memory", peak)
    path = tmp_path / "ratios.json"
    assert sparse.main([*SMALL_GRAPHS, "--memory-lengths", "64", "--json", str(path)]) == 1
    assert "gather_over_sum_k16" in json.loads(path.read_text())
    out = capsys.readouterr().out
    assert "it ran out" in out
    assert "FAILED: it broke" in out


@pytest.fixture
def few_peptides(monkeypatch):
    """A tenth of the peptides, and no proteins."""

    def datasets(tokens, max_length):
        data = DataModule(
            Records(model.Peptides().records()[::10]),
            target_type="next_token",
            tokens_per_batch=tokens,
            split="random",
        )
        return {"peptides": data, "proteins": None}

    monkeypatch.setattr(model, "datasets", datasets)


def test_data_are_peptides_and_the_proteins_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_DATA", str(tmp_path))
    found = model.datasets(512, 256)
    assert found["proteins"] is None
    assert isinstance(found["peptides"].dataset, model.Peptides)
    table = tmp_path / model.PROTEINS
    table.parent.mkdir()
    table.write_text("sequence\nMKV\n")
    proteins = model.datasets(512, 256)["proteins"].dataset
    records = proteins.but(target_type="next_token").records()
    assert [record.sequence for record in records] == ["MKV"]


def test_graphs_names_its_ratios(tmp_path, monkeypatch):
    pytest.importorskip("chemicals", reason="the melting points need chemicals: gia[chem]")
    measured = {}

    def peak(prepare, case, tiny, *, threads, device):
        measured[case.model] = (case.batches, tiny.batches)
        return 100 if case.model == "gps" else 60

    monkeypatch.setattr(graphs, "peak_memory", peak)
    arguments = ["--models", "gin", "gine", "gps", "--batches", "1", "--memory-batches", "3"]
    ratios, section = run(graphs, tmp_path, *SMALL, *arguments)
    expected = {"epoch_over_gps", "peak_memory_over_gps"}
    assert set(ratios) == expected | {f"gine_{name}" for name in expected}
    assert ratios["peak_memory_over_gps"] == 0.6
    assert measured == dict.fromkeys(("gin", "gine", "gps"), (3, 1))
    assert "molecules of 13.6 atoms" in section


def test_adapters_names_its_ratios(tmp_path, monkeypatch):
    pytest.importorskip("peft", reason="LoRA needs peft: gia[llm]")
    measured = {}

    def peak(prepare, case, tiny, *, threads, device):
        measured[case.side, case.length] = (case.batch, tiny.length)
        return 100 if case.side == "lora" else 110

    monkeypatch.setattr(adapters, "peak_memory", peak)
    small = {"vocab_size": 1100, "hidden_size": 48, "intermediate_size": 64}
    monkeypatch.setattr(adapter_models, "SMALL", adapter_models.SMALL | small)
    monkeypatch.setattr(adapters, "found", lambda path: None)
    arguments = ["--lengths", "8", "16", "--tokens", "16", "--batches", "1", "2"]
    ratios, section = run(adapters, tmp_path, *SMALL, *arguments, "--new-tokens", "3")
    names = {
        "step_over_lora",
        "step_over_lora_L16",
        "peak_memory_over_lora",
        "peak_memory_over_lora_L16",
        "generate_over_base",
        "generate_over_base_B1",
        "generate_over_base_B2",
    }
    generated = {name for name in names if name.startswith("generate")}
    ours = names - generated
    names |= {f"graph_lora_{name}" for name in names} | {f"lora_{name}" for name in generated}
    names |= {f"gia_{side}_{name}" for side in adapter_models.SIDES for name in ours}
    assert set(ratios) == names | {"memory_of_a_token_longest_over_second"}
    assert ratios["peak_memory_over_lora"] == 1.1
    assert ratios["generate_over_base"] == min(ratios[f"generate_over_base_B{b}"] for b in (1, 2))
    assert measured == {
        (side, length): (16 // length, 16) for side in adapter_models.STEPS for length in (8, 16)
    }
    found = re.search(r"LoRA (\S+), Sparse-GIN (\S+), Graph-LoRA (\S+)\.", section)
    lora, *others = (int(number.replace(",", "")) for number in found.groups())
    assert all(abs(other - lora) <= 0.02 * lora for other in others)


def test_ops_names_its_ratios(tmp_path, monkeypatch):
    def epoch(case):
        mlp, x = gia.nn.SwiGLU(4, 8), torch.randn(case.batches, 4)
        return lambda: mlp(x).sum().backward()

    # The molecules take long, and graphs.py has its own test.
    monkeypatch.setattr(ops.graph_models, "epoch", epoch)
    monkeypatch.setattr(ops.graph_models, "melting_points", lambda batch_size: None)
    sizes = ("--width", "16", "--heads", "2", "--depth", "1", "--tokens", "64", "--length", "32")
    ratios, section = run(ops, tmp_path, *SMALL, *sizes, "--batches", "1")
    found = {key for key in ratios if "without" not in key and "kept" not in key}
    assert {key.removesuffix("_over_definition") for key in found} == {*kernels.USED, "follow"}
    assert ratios["gated_kept_over_definition"] == pytest.approx(2 / 3)
    assert ratios["gin_language_model_over_without_gated_kept"] < 1
    assert ratios["sparse_gin_layer_over_without_csr_multiply_kept"] < 1
    assert {key for key in ratios if key.startswith("gin_on_molecules") and "kept" not in key} == {
        f"gin_on_molecules_over_without_{name}" for name in ("forgetting", "gated", "no_kernel")
    }
    assert all(value >= 0 for value in ratios.values())
    assert "| without |" in section


def test_ops_does_without_molecules_where_their_library_is_missing(monkeypatch):
    def missing(batch_size):
        raise ImportError("chemicals")

    monkeypatch.setattr(ops.graph_models, "melting_points", missing)
    args = ops.Namespace(length=8, tokens=8, width=4, heads=1, batches=1)
    assert not any("molecules" in name for name in ops.models(args))


def test_a_kernel_is_replaced_wherever_it_is_called():
    def step():
        seen.append(kernels.called(lambda: gia.nn.SwiGLU(4, 8)(torch.randn(3, 4))))

    seen = []
    step()
    with kernels.replaced(kernels.gated, kernels.gated.definition):
        step()
    step()
    assert seen == [["forgetting", "gated"], ["forgetting"], ["forgetting", "gated"]]


def test_graph_models_are_as_large(monkeypatch):
    pytest.importorskip("chemicals", reason="the melting points need chemicals: gia[chem]")
    data = graph_models.melting_points(64)
    for name in graph_models.MODELS:
        cfg = graph_models.configuration(graph_models.Case(name, 200_000, 64, None))
        with torch.device("meta"):
            size = count_parameters(instantiate(resolve_model(cfg, data.inputs())))
        assert abs(size - 200_000) <= 2_000, name


@pytest.mark.usefixtures("few_peptides")
def test_model_names_its_ratios(tmp_path):
    pytest.importorskip("transformers", reason="Hugging Face's model needs transformers: gia[llm]")
    ratios, section = run(model, tmp_path, *SMALL_STEPS)
    expected = {"padding_waste_peptides"}
    for prefix in ("", "pna_", "softmax_"):
        key = f"{prefix}model_step_over_hf_llama"
        expected |= {key, f"{key}_peptides"}
        assert ratios[key] == pytest.approx(ratios[f"{key}_peptides"])
    assert set(ratios) == expected
    assert 0 < ratios["padding_waste_peptides"] < 0.2
    assert "skipped: there is no protein/rcsb_fold.csv" in section


def test_generation_names_its_ratios(tmp_path):
    pytest.importorskip("transformers", reason="Hugging Face's model needs transformers: gia[llm]")
    ratios, _ = run(generate, tmp_path, *SMALL_GENERATION)
    growth = "token_time_L16_over_L8"
    expected = {growth, *(f"{kind}{growth}_B{b}" for kind in ("", "floor_of_") for b in (1, 8))}
    for prefix in ("", "pna_", "softmax_"):
        key = f"{prefix}generate_token_over_hf"
        expected |= {key, f"{key}_B1", f"{key}_B8"}
        assert ratios[key] == ratios[f"{key}_B8"]
    assert set(ratios) == expected


def test_variants_are_scored_alike_on_both_sides(tmp_path):
    small = [*SMALL_MODEL, "--length", "12", "--every", "5"]
    ratios, text = run(variants, tmp_path, *small, "--attentions", "gin", "pna")
    assert set(ratios) == {"variants_over_whole_sequences", "pna_variants_over_whole_sequences"}
    (apart,) = re.findall(r"gin: the two ways differ by at most (\S+) nats", " ".join(text.split()))
    assert float(apart) < 1e-5


def test_both_sides_generate_as_many_tokens():
    pytest.importorskip("transformers", reason="Hugging Face's model needs transformers: gia[llm]")
    parser_args = generate.Namespace(
        width=32, heads=2, depth=1, hidden=96, attentions=["gin"], seconds=0, repeats=3
    )
    models = generate.language_models(parser_args, 23)
    prompts = torch.randint(23, (3, 5))
    ours = torch.stack(generate.gia_generate(models["gin"].eval(), prompts, 9))
    theirs = generate.llama_generate(models["hf_llama"].eval(), prompts, 9)
    assert ours.shape == theirs.shape == (3, 14)
    assert torch.equal(ours[:, :5], prompts)
    assert torch.equal(theirs[:, :5], prompts)


def test_all_writes_one_page_and_tells_what_failed(tmp_path, monkeypatch, capfd):
    scripts = {
        "attention": [*SMALL_LAYERS, "--no-memory"],
        "model": ["--no-such-argument"],
    }
    monkeypatch.setattr(everything, "SCRIPTS", scripts)
    merged = tmp_path / "all.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks/all.py", "--json", str(merged)])
    arguments = ["--only", *scripts, "--out", str(tmp_path / "out"), "--json", str(merged)]
    assert everything.main(arguments) == 1
    page = (tmp_path / "out/RESULTS.md").read_text()
    assert "**model failed: exit status 2.**" in page
    assert "| `gin_over_sdpa_L256` | - | at most 0.9 | not measured |" in page
    assert "![Attention layers](images/attention.png)" in page
    assert "`python benchmarks/all.py`" in page
    assert str(tmp_path) not in page
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"RESULTS.md", "images"}
    assert "gin_over_sdpa_L32" in json.loads(merged.read_text())
    out = capfd.readouterr().out
    assert "model failed: exit status 2" in out
    assert "1 of 2: attention" in out


def test_all_says_what_was_not_done_in_time(tmp_path):
    outcome = everything.run("attention", [], tmp_path, seconds=0.1)
    assert outcome.ratios == {}
    assert "not done after" in outcome.problem


def test_targets_are_met_at_their_bound():
    measured = {
        "gin_over_sdpa_L256": 0.9,
        "gin_over_sdpa_L1024": 0.91,
        "gather_over_sum_k16": 2.5,
        "dense_over_sum_k16_L8192": 9.9,
    }
    rows = {key: (target, verdict) for key, _, target, verdict in everything.target_rows(measured)}
    assert rows["`gin_over_sdpa_L256`"] == ("at most 0.9", "yes")
    assert rows["`gin_over_sdpa_L1024`"] == ("at most 0.9", "no")
    assert rows["`gather_over_sum_k16`"] == ("at least 2.5", "yes")
    assert rows["`dense_over_sum_k16_L8192`"] == ("at least 10.0", "no")
    assert rows["`generate_token_over_hf`"] == ("at most 1.0", "not measured")


def test_precision_compares_loss_curves(tmp_path):
    arguments = ["--epochs", "2", "--seeds", "0", "1", "--set", "debug=fast"]
    ratios, section = run(precision, tmp_path, *arguments)
    assert set(ratios) == {
        "bf16_mixed_difference_over_noise",
        "bf16_true_difference_over_noise",
    }
    assert all(ratio > 0 for ratio in ratios.values())
    assert section.count("32-true, seed") == 2
