"""Questions with known answers: what is asked is what is answered, and no part gives it away."""

from collections import Counter

import pytest
import torch
from hydra.utils import instantiate
from runs import compose_config
from torch_geometric.utils import degree

from gia.data import counting
from gia.data.datasets.counting import TASKS

BY_HAND = {
    "count": lambda kinds, mine: kinds[mine],
    "parity": lambda kinds, mine: kinds[mine] % 2,
    "majority": lambda kinds, mine: int(kinds[mine] == max(kinds.values())),
}


@pytest.mark.parametrize("task", BY_HAND)
def test_answers_of_a_bag(task):
    for data in counting(task, number=50, kinds=3, smallest=2, largest=9):
        kinds = Counter(data.x.flatten().tolist())
        expected = [BY_HAND[task](kinds, mine) for mine in data.x.flatten().tolist()]
        assert data.y.tolist() == [[answer] for answer in expected]
        assert 2 <= data.num_nodes <= 9
        assert data.num_edges == 0


def test_two_bags_are_alike_or_differ_in_one_of_two_ways():
    found = Counter()
    for data in counting("multiset", number=400, kinds=3):
        kind = data.x.flatten()
        bags = [kind[kind < 3], kind[kind >= 3] - 3]
        counts = [torch.bincount(bag, minlength=3) for bag in bags]
        (equal,) = set(data.y.flatten().tolist())
        assert equal == int(torch.equal(*counts))
        shares = [count / count.sum() for count in counts]
        found[equal, torch.allclose(*shares)] += 1
    # Half alike; of the others half have the same shares, which a mean cannot tell.
    assert found.keys() == {(1, True), (0, True), (0, False)}
    assert 160 < found[1, True] < 240
    assert min(found[0, True], found[0, False]) > 70


def test_degrees_are_those_of_the_edges():
    degrees = set()
    for data in counting("degree", number=50):
        assert data.is_undirected()
        assert not data.has_self_loops()
        assert torch.equal(data.y.flatten(), degree(data.edge_index[1], data.num_nodes).long())
        degrees |= set(data.y.flatten().tolist())
    assert degrees >= set(range(10))


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_draws_the_same(task):
    def flat(**options):
        return [data.x.tolist() for data in counting(task, number=20, **options)]

    assert flat() == flat() != flat(seed=1)


def test_order_says_nothing():
    """A shuffled bag is a duplicate of it: a split keeps the two together."""
    texts = {}
    for data in counting("count", number=300, kinds=2, smallest=3, largest=3):
        key = tuple(data.x.flatten().bincount(minlength=2).tolist())
        texts.setdefault(key, set()).add(data.text)
    assert len(texts) == 4
    assert all(len(of_bag) == 1 for of_bag in texts.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "sum"}, "data.dataset.task must be one of count, parity.*'sum'"),
        ({"number": 0}, "data.dataset.number must be at least 1, got 0"),
        ({"kinds": 1}, "data.dataset.kinds must be at least 2, got 1"),
        ({"smallest": 9, "largest": 4}, "data.dataset.largest must be at least 9, got 4"),
    ],
)
def test_errors_name_the_option(options, said):
    with pytest.raises(ValueError, match=said):
        counting(**options)


@pytest.mark.parametrize("task", TASKS)
def test_it_is_data_of_the_command(task):
    cfg = compose_config("data=counting", f"data.dataset.task={task}", "data.dataset.number=60")
    data = instantiate(cfg.data)
    data.setup()
    inputs = data.inputs()
    assert inputs["level"] == "node"
    assert sum(len(part) for part in (data.train_data, data.val_data, data.test_data)) == 60
