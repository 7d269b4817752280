"""Clusters by shared k-mers."""

import random

import networkx as nx
import pytest
import torch

from gia.data import clusters
from gia.data.splits import similarity
from gia.data.splits.similarity import DEFAULT_THRESHOLD


def brute_force(sequences, k, threshold):
    sets = [{s[i : i + k] for i in range(len(s) - k + 1)} or {s} for s in sequences]
    graph = nx.empty_graph(len(sequences))
    for i, a in enumerate(sets):
        for j, b in enumerate(sets):
            if len(a & b) >= threshold * min(len(a), len(b)):
                graph.add_edge(i, j)
    return {frozenset(component) for component in nx.connected_components(graph)}


def partition(labels):
    return {frozenset(torch.nonzero(labels == c).flatten().tolist()) for c in labels.unique()}


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_agrees_with_all_pairs(k, threshold, block, monkeypatch):
    monkeypatch.setattr(similarity, "BLOCK_ENTRIES", block)
    draw = random.Random(k)
    sequences = ["".join(draw.choices("ABCD", k=draw.randint(0, 12))) for _ in range(40)]
    found = partition(clusters(sequences, k, threshold))
    assert found == brute_force(sequences, k, threshold)


def test_short_sequences_count_as_a_whole():
    assert clusters(["MK", "MK", "MV", "MKVL", "V"], k=4, threshold=0.5).tolist() == [0, 0, 1, 2, 3]


def test_a_fragment_belongs_to_its_protein():
    protein = "MKVLAARTGHEDWQNPSYFI"
    assert clusters([protein, protein[5:14], protein[::-1]]).tolist() == [0, 0, 1]


def test_peptide_families_stay_together_without_a_giant(peptides):
    sequences = [record.sequence for record in peptides]
    sizes = clusters(sequences).bincount()
    assert len(sizes) == 2227
    assert sizes.max() == 529  # a tenth, so the parts of a split can still be filled
    looser = clusters(sequences, threshold=DEFAULT_THRESHOLD - 0.1).bincount()
    assert looser.max() > 2500  # single linkage chains half of the set together


def test_proteins_are_nearly_unrelated_already(proteins):
    sizes = clusters([record.sequence for record in proteins[::2]]).bincount()
    assert sizes.sum() == 2685
    assert sizes.max() <= 10


@pytest.mark.parametrize(("letters", "length"), [("ACGT", 300), ("ACDEFGHIKLMNPQRSTVWY", 300)])
def test_random_sequences_are_unrelated_in_any_alphabet(letters, length):
    draw = random.Random(0)
    sequences = ["".join(draw.choices(letters, k=length)) for _ in range(60)]
    assert clusters(sequences).tolist() == list(range(60))
    related = sequences[0][:150] + sequences[1][150:]
    assert clusters([*sequences, related]).tolist() == [0, 0, *range(1, 59), 0]


def test_no_sequences():
    assert clusters([]).shape == (0,)


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="similarity_k must be at least 1, got 0"):
        clusters(["MK"], k=0)
    for threshold in (0, 1.5):
        with pytest.raises(ValueError, match=f"got {threshold}"):
            clusters(["MK"], threshold=threshold)
