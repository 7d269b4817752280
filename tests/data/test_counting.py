"""Questions with known answers: what is asked is what is answered, and no part gives it away."""

import math
from collections import Counter

import pytest
import torch
from hydra.utils import instantiate
from runs import compose_config
from torch_geometric.utils import degree

from gia.data import Counting
from gia.data.datasets.counting import TASKS

BY_HAND = {
    "count": lambda kinds, mine: kinds[mine],
    "parity": lambda kinds, mine: kinds[mine] % 2,
    "majority": lambda kinds, mine: int(kinds[mine] == max(kinds.values())),
}


@pytest.mark.parametrize("task", BY_HAND)
def test_answers_of_a_bag(task):
    for data in Counting(task, number=50, kinds=3, largest=9):
        kinds = Counter(data.x.flatten().tolist())
        expected = [BY_HAND[task](kinds, mine) for mine in data.x.flatten().tolist()]
        assert data.y.tolist() == [[answer] for answer in expected]
        assert 2 <= data.num_nodes <= 9
        assert data.num_edges == 0


def test_what_has_been_seen_differs_from_what_has_not_in_one_of_two_ways():
    graphs = Counting("multiset", number=1000)
    counts = [tuple(data.x.flatten().bincount(minlength=4).tolist()) for data in graphs]
    answers = [set(data.y.flatten().tolist()) for data in graphs]
    seen = {count for count, answer in zip(counts, answers, strict=True) if answer == {1}}
    others = [count for count, answer in zip(counts, answers, strict=True) if answer == {0}]
    assert len(seen) <= 32
    assert seen.isdisjoint(others)
    assert 400 < len(others) < 500
    twice = [count for count in others if tuple(number / 2 for number in count) in seen]
    assert len(twice) > 0.4 * len(others)  # which a mean cannot tell
    changed = [
        count
        for count in others
        if any(sum(abs(a - b) for a, b in zip(count, bag, strict=True)) == 2 for bag in seen)
    ]
    assert len({*twice, *changed}) == len(set(others))


def test_degrees_are_those_of_the_edges():
    degrees = set()
    for data in Counting("degree", number=50):
        assert data.is_undirected()
        assert not data.x.any()
        assert not data.has_self_loops()
        assert torch.equal(data.y.flatten(), degree(data.edge_index[1], data.num_nodes).long())
        degrees |= set(data.y.flatten().tolist())
    assert degrees >= set(range(10))


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_draws_the_same(task):
    def flat(**options):
        return [data.x.tolist() for data in Counting(task, number=20, **options)]

    assert flat() == flat() != flat(seed=1)


def test_order_says_nothing():
    """A shuffled bag is a duplicate of it: a split keeps the two together."""
    texts = {}
    for data in Counting("count", number=300, kinds=2, largest=8):
        key = tuple(data.x.flatten().bincount(minlength=2).tolist())
        texts.setdefault(key, set()).add(data.text)
    assert len(texts) > 10
    assert all(len(of_bag) == 1 for of_bag in texts.values())


def best_answers(graphs, told):
    """How often the best answer is right that knows a node's kind and what it is told."""
    found = {}
    for data in graphs:
        for node, answer in enumerate(data.y.flatten().tolist()):
            known = int(data.x[node]), told(data, node)
            found.setdefault(known, Counter())[answer] += 1
    right = sum(max(answers.values()) for answers in found.values())
    return right / sum(sum(answers.values()) for answers in found.values())


def shares(data, node):
    """What a mean over a bag tells at most."""
    counts = data.x.flatten().bincount()
    return tuple((counts / math.gcd(*counts.tolist())).tolist())


def has_neighbours(data, node):
    """What a mean over neighbours that are all alike tells."""
    return bool((data.edge_index[1] == node).any())


@pytest.mark.parametrize(
    ("task", "told", "most"),
    [
        ("count", shares, 0.4),
        ("parity", shares, 0.75),
        ("multiset", shares, 0.8),
        ("degree", has_neighbours, 0.25),
    ],
)
def test_means_do_not_tell_it(task, told, most):
    assert best_answers(Counting(task), told) < most


def test_means_do_tell_the_majority():
    assert best_answers(Counting("majority", number=1000), shares) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "sum"}, "data.dataset.task must be one of count, parity.*'sum'"),
        ({"number": 0}, "data.dataset.number must be at least 1, got 0"),
        ({"kinds": 1}, "data.dataset.kinds must be at least 2, got 1"),
        ({"largest": 7}, "data.dataset.largest must be at least 8, got 7"),
    ],
)
def test_errors_name_the_option(options, said):
    with pytest.raises(ValueError, match=said):
        Counting(**options)


@pytest.mark.parametrize("task", TASKS)
def test_it_is_data_of_the_command(task):
    cfg = compose_config("data=counting", f"data.dataset.task={task}", "data.dataset.number=60")
    data = instantiate(cfg.data)
    data.setup()
    inputs = data.inputs()
    assert inputs["level"] == "node"
    assert sum(len(part) for part in (data.train_data, data.val_data, data.test_data)) == 60
