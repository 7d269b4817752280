"""Attention over an item: what is chosen, measured and written, and what a browser makes of it."""

import csv
import html
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import networkx as nx
import numpy as np
import pytest
import torch
from laws import make_model, sequences
from torch_geometric.data import Data

from gia.analysis.inspection import inspect_attention
from gia.analysis.inspection_files import write_inspection
from gia.analysis.report_page import report_page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LABELS = list("GLFDIIKK")


def graph(weights):
    """All pairs of a matrix of weights of each head, ``[H, N, N]``."""
    weights = torch.as_tensor(weights, dtype=torch.float)
    target, source = (weights != 0).any(0).nonzero().unbind(1)
    return Data(
        edge_index=torch.stack([source, target]),
        edge_weight=weights[:, target, source].T,
        num_nodes=weights.size(1),
    )


def item(nodes=8, **more):
    return Data(seq_pos=torch.arange(nodes), num_nodes=nodes, name="ours", **more)


def causal(seed, heads=2, nodes=8):
    score = torch.randn(heads, nodes, nodes, generator=torch.Generator().manual_seed(seed))
    return score.masked_fill(torch.ones(nodes, nodes).triu(1).bool(), -torch.inf).softmax(-1)


@pytest.fixture
def found():
    return inspect_attention(item(), [graph(causal(0)), None, graph(causal(1))], LABELS)


def test_of_a_model():
    model = make_model("gin")
    data = sequences([9])[0]
    found = inspect_attention(data, model.graphs(data), list("abcdefghi"))
    assert list(found.weights) == [1, 2]
    for weight in found.weights.values():
        np.testing.assert_allclose(weight.sum(2), 1, rtol=1e-5)  # row i is what arrives at i
        assert not np.triu(weight, 1).any()
    assert found.measures[1, 1].density == pytest.approx(0.5)


def test_layers_and_heads_are_chosen(found):
    assert list(found.weights) == [1, 3]
    assert found.named == [3]
    assert set(found.measures) == {(1, 1), (1, 2), (3, 1), (3, 2)}
    some = inspect_attention(
        item(), [graph(causal(0)), None, graph(causal(1))], LABELS, layers=[3], heads=[2]
    )
    assert list(some.weights) == some.named == [3]
    np.testing.assert_array_equal(some.weights[3], found.weights[3][1:])
    np.testing.assert_array_equal(some.measures[3, 2], found.measures[3, 2])
    assert some.graphs[3].edge_weight.shape[1] == 1
    np.testing.assert_array_equal(some.effective, found.effective)  # of all layers and heads


@pytest.mark.parametrize(
    "choice", [{"layers": [2]}, {"layers": []}, {"heads": [3]}, {"heads": [0]}]
)
def test_what_is_not_there(choice):
    (option,) = choice
    with pytest.raises(ValueError, match=f"{option}=.*with a graph are 1, (2|3)"):
        inspect_attention(item(), [graph(causal(0)), None, graph(causal(1))], LABELS, **choice)


def test_heads_that_only_some_layers_have():
    layers = [graph(causal(0, heads=2)), graph(causal(1, heads=5))]
    found = inspect_attention(item(), layers, LABELS, heads=[3, 2])
    assert found.heads == {1: [2], 2: [3, 2]}
    assert inspect_attention(item(), layers, LABELS, heads=[4]).heads == {2: [4]}
    with pytest.raises(ValueError, match=r"heads with a graph are 1, 2$"):
        inspect_attention(item(), layers, LABELS, layers=[1], heads=[3])


def test_weights_that_are_not_finite():
    broken = graph(causal(0))
    broken.edge_weight[3, 1] = torch.nan
    with pytest.raises(ValueError, match="layer 2 has weights that are not finite"):
        inspect_attention(item(), [graph(causal(0)), broken], LABELS)


def test_distance_between_parts_is_along_edges():
    """Atoms beside a sequence all have place 0."""
    data = Data(
        edge_index=torch.tensor([[0, 1], [1, 0]]), seq_pos=torch.tensor([0, 0, 0, 1]),
        component=torch.tensor([0, 0, 1, 1]), num_nodes=4,
    )  # fmt: skip
    weight = np.zeros((1, 4, 4))
    weight[0, 0, 1] = weight[0, 0, 3] = 0.5
    assert inspect_attention(data, [graph(weight)], "CCWW").measures[1, 1].distance == 1


def test_nothing_to_look_at():
    with pytest.raises(ValueError, match="no attention to look at"):
        inspect_attention(item(), [None], LABELS)
    with pytest.raises(ValueError, match="is empty"):
        inspect_attention(Data(num_nodes=0), [], [])


def test_distance_and_agreement_are_of_the_items_edges():
    ring = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])
    opposite = np.zeros((1, 4, 4))
    for i in range(4):
        opposite[0, i, (i + 2) % 4] = 1
    joined = np.zeros((1, 4, 4))
    joined[0, ring[1], ring[0]] = 0.5
    data = Data(edge_index=ring, num_nodes=4)
    one, other = (
        inspect_attention(data, [graph(weights)], list("CCCC")).measures[1, 1]
        for weights in (opposite, joined)
    )
    assert (one.distance, other.distance) == (2, 1)  # steps along the ring
    assert (one.agreement, other.agreement) == (0, 1)
    chain = torch.tensor([[0, 1], [1, 2]])
    of_sequence = inspect_attention(item(3, edge_index=chain), [graph(causal(0, nodes=3))], "ABC")
    assert np.isnan(of_sequence.measures[1, 1].agreement)  # neighbours are no structure


def test_a_graph_that_heads_share(found):
    shared = graph(causal(0, heads=1))
    shared.edge_weight = shared.edge_weight.squeeze(1)
    one = inspect_attention(item(), [shared], LABELS)
    np.testing.assert_allclose(one.weights[1], causal(0, heads=1).numpy())


def test_files(found, tmp_path):
    page, *pictures = write_inspection(found, tmp_path, title="ours")
    assert page == tmp_path / "report.html"
    assert all(path.stat().st_size > 1000 for path in pictures)
    assert {path.stem for path in pictures} == {
        *("heads", "effective", "eigenvalues", "layer_3", "graph")
    }
    with (tmp_path / "measures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] + row["head"] for row in rows] == ["11", "12", "31", "32"]
    assert float(rows[0]["entropy"]) == pytest.approx(found.measures[1, 1].entropy, rel=1e-5)
    assert rows[0]["agreement"] == ""
    with (tmp_path / "nodes.csv").open() as file:
        nodes = list(csv.DictReader(file))
    assert len(nodes) == 4 * 8
    first = found.weights[1][0] - np.diag(found.weights[1][0].diagonal())
    read = [float(row["out_strength"]) for row in nodes[:8]]
    np.testing.assert_allclose(read, first.sum(0), rtol=1e-4, atol=1e-9)
    with (tmp_path / "eigenvalues.csv").open() as file:
        values = [float(row["eigenvalue"]) for row in csv.DictReader(file)]
    assert values[1] == pytest.approx(found.measures[1, 1].spectral_gap, rel=1e-4)
    net = nx.read_graphml(tmp_path / "layer_3.graphml")
    assert [net.nodes[str(node)]["label"] for node in range(8)] == LABELS
    edge = net.edges["0", "5"]
    assert edge["head_2"] == pytest.approx(float(found.weights[3][1, 5, 0]), rel=1e-6)
    first, last = torch.load(tmp_path / "graphs.pt", weights_only=False)
    assert (first.layer, last.layer) == (1, 3)
    assert last.edge_weight.shape == (36, 2)
    assert last.label == LABELS


def test_graphml_has_the_strongest_edges_alone(tmp_path):
    nodes = 30
    found = inspect_attention(
        item(nodes), [graph(causal(0, nodes=nodes))], ["A"] * nodes, layers=[1], heads=[1]
    )
    write_inspection(found, tmp_path, title="ours")
    net = nx.read_graphml(tmp_path / "layer_1.graphml")
    assert max(dict(net.in_degree()).values()) == 16
    weights = sorted((found.weights[1][0, 29]), reverse=True)[:16]
    kept = sorted((data["weight"] for *_, data in net.in_edges("29", data=True)), reverse=True)
    np.testing.assert_allclose(kept, weights, rtol=1e-6)


def test_a_page_stays_small():
    """Where all heads at their finest are too much, weights become coarser."""
    nodes, heads = 256, 12
    weights = torch.rand(heads, nodes, nodes, generator=torch.Generator().manual_seed(0))
    layers = [graph(weights / weights.sum(2, keepdim=True))] * 8
    found = inspect_attention(item(nodes), layers, ["A"] * nodes)
    page = report_page(found, title="large")
    assert len(page) < 5e6


def test_a_page_is_self_contained(found):
    page = report_page(found, title="</script><script>alert(1)</script>")
    assert page.count("</script>") == 2  # the data's and the program's
    assert not re.search(r"(src|href)=[\"']?http|@import|url\(", page)


def browse(path, fragment=""):
    """The page as a browser has it after its program has run."""
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
         "--dump-dom", f"file://{path}{fragment}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_a_browser(found, tmp_path, theme):
    write_inspection(found, tmp_path, title="a < b & c")
    chosen = f"#layer=3&head=2&target=6&source=3&theme={theme}"
    seen = browse(tmp_path / "report.html", chosen)
    assert 'data-ready="true"' in seen
    assert f'data-theme="{theme}"' in seen
    text = html.unescape(re.sub("<script.*?</script>|<[^>]+>", " ", seen, flags=re.DOTALL))
    assert "layer 3, head 2" in text
    assert "a < b & c" in text
    said = float(re.search(r"I \(6\) reads F \(3\): ([\d.e-]+)", text)[1])
    assert said == pytest.approx(float(found.weights[3][1, 5, 2]), abs=0.005)
    assert len(re.findall("<canvas data-layer=|<canvas[^>]*data-layer=", seen)) == 2 * 3 + 1
    assert f"{found.measures[1, 2].entropy:.3g}" in text
    assert len(re.findall('<tr[^>]*aria-current="true"', seen)) == 1


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
def test_signed_weights_in_a_browser(tmp_path):
    weights = causal(0) - causal(1) * 0.5
    found = inspect_attention(item(), [graph(weights)], LABELS)
    write_inspection(found, tmp_path, title="signed")
    target, source = divmod(int(weights[0].argmin()), 8)
    seen = browse(
        tmp_path / "report.html", f"#head=1&layer=1&target={target + 1}&source={source + 1}"
    )
    said = float(re.search(r"reads \w \(\d\): (-[\d.e-]+)", html.unescape(seen))[1])
    assert said == pytest.approx(float(weights[0].min()), abs=0.01)


def test_long_names_do_not_burst_pictures(tmp_path):
    labels = ["A" * 3000, *"BCDEFGH"]
    found = inspect_attention(item(), [graph(causal(0))], labels)
    write_inspection(found, tmp_path, title="ours")
    for name in ("layer_1", "effective"):
        height, width, _ = matplotlib.image.imread(tmp_path / f"{name}.png").shape
        assert max(height, width) < 3000


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
def test_what_is_no_node_chooses_none(found, tmp_path):
    write_inspection(found, tmp_path, title="ours")
    assert 'data-ready="true"' in browse(tmp_path / "report.html", "#target=1.5&source=x&layer=7")


def test_pictures_of_structure(tmp_path):
    """A protein has its contact map, a molecule its drawing."""
    pytest.importorskip("rdkit")
    from torch_geometric.utils import from_smiles

    from gia.data.depict import depict

    molecule = from_smiles("CC(=O)Nc1ccc(O)cc1")
    molecule.text, molecule.name = molecule.smiles, "ours"
    number = molecule.num_nodes
    weights = torch.rand(2, number, number, generator=torch.Generator().manual_seed(0))
    found = inspect_attention(molecule, [graph(weights)], ["C"] * number)
    page, *pictures = write_inspection(found, tmp_path, title="ours", depiction=depict(molecule))
    assert "data:image/png;base64" in page.read_text()
    assert {"graph.svg", "graph.png"} <= {path.name for path in pictures}
    ElementTree.parse(tmp_path / "graph.svg")
    edges = torch.tensor([[0, 6, 1, 7], [6, 0, 7, 1]])
    protein = item(edge_index=edges, pos=torch.rand(8, 3))
    found = inspect_attention(protein, [graph(causal(0))], LABELS)
    (tmp_path / "protein").mkdir()
    _, *pictures = write_inspection(found, tmp_path / "protein", title="ours")
    assert "contact_map.png" in {path.name for path in pictures}
    assert found.measures[1, 1].agreement == found.measures[1, 1].agreement
