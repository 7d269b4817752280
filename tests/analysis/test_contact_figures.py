"""Contact maps: contacts above the diagonal, attention below it, on one scale."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gia.analysis import save
from gia.analysis.contact_figures import contact_attention


@pytest.fixture
def protein():
    pairs = torch.tensor([[0, 1, 0], [1, 2, 3]])
    return Data(edge_index=torch.cat([pairs, pairs.flip(0)], 1), num_nodes=4)


def test_contacts_and_attention_have_a_half_each(protein, tmp_path):
    graph = Data(
        edge_index=torch.tensor([[0, 3, 1, 2], [3, 0, 1, 1]]),
        edge_weight=torch.tensor([[0.2, 0.4], [0.1, 0.1], [9.0, 9.0], [0.0, 0.6]]),
        num_nodes=4,
    )
    figure = contact_attention(protein, [graph, None, graph], "1abc")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["layer 1", "layer 3"]
    for axes in panels:
        (image,) = axes.images
        drawn = np.ma.filled(image.get_array().astype(float), np.nan)
        assert np.isnan(drawn[np.triu_indices(4)]).all()  # loops are no pair
        assert drawn[3, 0] == pytest.approx(0.3 + 0.1)
        assert drawn[2, 1] == pytest.approx(0.3)
        assert drawn[1, 0] == 0
        assert image.norm.vmax == pytest.approx(0.4, rel=0.05)
        (contacts,) = axes.collections
        assert sorted(map(tuple, contacts.get_offsets().tolist())) == [(1, 0), (2, 1), (3, 0)]
    (path,) = save(figure, tmp_path / "map", ["png"])
    assert path.stat().st_size > 0


def test_a_protein_of_one_residue():
    alone = Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=1)
    graph = Data(
        edge_index=torch.zeros(2, 1, dtype=torch.long), edge_weight=torch.ones(1, 2), num_nodes=1
    )
    assert contact_attention(alone, [graph]).axes


def test_contacts_that_attention_is_given_are_left_out(protein):
    edges = torch.cat([protein.edge_index, torch.tensor([[2], [0]])], 1)
    weight = torch.tensor([1.0] * 6 + [0.2])[:, None]
    figure = contact_attention(protein, [Data(edge_index=edges, edge_weight=weight, num_nodes=4)])
    (image,) = figure.axes[0].images
    drawn = np.ma.filled(image.get_array().astype(float), np.nan)
    assert np.isnan(drawn[[1, 2, 3], [0, 1, 0]]).all()
    assert drawn[2, 0] == pytest.approx(0.2)
    assert image.norm.vmax == pytest.approx(0.2, rel=0.05)
    assert "beside contacts" in figure.axes[0].get_ylabel()
