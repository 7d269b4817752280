"""The n-gram baseline against a direct reading of its equation."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gia.nn.models.ngram import NGram

VOCAB = 4


def corpus(number, seed):
    """Sequences in which a symbol mostly follows its predecessor's successor."""
    generator = np.random.default_rng(seed)
    graphs = []
    for _ in range(number):
        symbols = [0]
        for _ in range(generator.integers(3, 12)):
            jump = 1 if generator.random() < 0.8 else generator.integers(VOCAB)
            symbols.append(int((symbols[-1] + jump) % VOCAB))
        stream = torch.tensor(symbols)
        graphs.append(Data(token=stream[:-1], y=stream[1:]))
    return graphs


def test_losses_are_the_equation():
    train, validation, test = corpus(60, 0), corpus(20, 1), corpus(20, 2)
    model = NGram(3, VOCAB).fit(train, validation)
    counts = [Counter() for _ in range(3)]
    contexts = [Counter() for _ in range(3)]

    def context(token, t, order):
        return tuple(token[max(0, t + 1 - order) : t + 1])

    for graph in train:
        token = graph.token.tolist()
        for t, y in enumerate(graph.y.tolist()):
            for order in range(3):
                counts[order][context(token, t, order), y] += 1
                contexts[order][context(token, t, order)] += 1
    bins = np.array([1, 2, 4, 8, 16, 32, 64, 128])
    losses = [[], [], []]
    for graph in test:
        token = graph.token.tolist()
        for t, y in enumerate(graph.y.tolist()):
            p = 1 / VOCAB
            for order in range(3):
                seen = contexts[order][context(token, t, order)]
                weight = model._weights[order][np.searchsorted(bins, seen, side="right")]
                relative = counts[order][context(token, t, order), y] / max(seen, 1)
                p = weight * relative + (1 - weight) * p
                losses[order].append(-math.log(p))
    expected = [sum(values) / len(values) for values in losses]
    assert model.losses(test) == pytest.approx(expected)


def test_it_learns_the_order_of_the_source():
    train, validation, test = corpus(2000, 0), corpus(300, 1), corpus(300, 2)
    first, second, third = NGram(3, VOCAB).fit(train, validation).losses(test)
    entropy = -(0.85 * math.log(0.85) + 0.15 * math.log(0.05))  # of the true source
    assert first == pytest.approx(math.log(VOCAB), abs=0.03)
    assert second == pytest.approx(entropy, abs=0.03)
    assert third == pytest.approx(entropy, abs=0.04)


def test_probabilities_add_up_to_one():
    model = NGram(2, VOCAB).fit(corpus(50, 0), corpus(20, 1))
    total = 0.0
    for y in range(VOCAB):
        graph = Data(token=torch.tensor([2]), y=torch.tensor([y]))
        total += math.exp(-model.losses([graph])[1])
    assert total == pytest.approx(1.0)


def test_a_symbol_never_seen_has_a_finite_loss():
    model = NGram(2, 9).fit(corpus(50, 0), corpus(20, 1))
    graph = Data(token=torch.tensor([8]), y=torch.tensor([7]))
    assert all(math.isfinite(loss) for loss in model.losses([graph]))


def test_bad_orders_are_named():
    with pytest.raises(ValueError, match="order must be at least 1, got 0"):
        NGram(0, 4)
    with pytest.raises(ValueError, match="order 9 is too high for 300 symbols"):
        NGram(9, 300)


def test_what_is_not_scored_counts_as_context_alone():
    """The mean of the losses of single symbols, all others ignored, is the loss of all."""
    train, validation, test = corpus(60, 0), corpus(20, 1), corpus(4, 2)
    model = NGram(3, VOCAB).fit(train, validation)
    single = []
    for place, graph in enumerate(test):
        for node in range(len(graph.y)):
            ignored = [Data(token=other.token, y=torch.full_like(other.y, -100)) for other in test]
            ignored[place].y[node] = graph.y[node]
            single.append(model.losses(ignored))
    np.testing.assert_allclose(np.mean(single, 0), model.losses(test))


def test_sequences_shorter_than_the_order():
    """The last window of a sequence may be of a node or two."""
    long = corpus(40, 0)
    short = [
        Data(token=g.token[:n], y=g.y[:n]) for g, n in zip(corpus(9, 1), [1, 2, 3] * 3, strict=True)
    ]
    model = NGram(6, VOCAB).fit([*long, *short], [*corpus(20, 2), *short])
    sizes = [sum(len(g.y) for g in part) for part in (long, short)]
    each = zip(model.losses(long), model.losses(short), strict=True)
    expected = [(a * sizes[0] + b * sizes[1]) / sum(sizes) for a, b in each]
    assert model.losses([*long, *short]) == pytest.approx(expected)
