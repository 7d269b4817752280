"""Length-aware batches within a token budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gia.data import DataModule, GraphBatchSampler, Records, TokenBatchSampler

LENGTHS = [3, 9, 4, 4, 7, 1, 9, 2, 5, 5, 5, 5, 8, 30]


def flat(batches):
    return sorted(i for batch in batches for i in batch)


@given(
    st.lists(st.integers(1, 200), max_size=80),
    st.integers(200, 900),
    st.booleans(),
    st.integers(0, 3),
)
def test_every_graph_once_within_the_budget(lengths, budget, shuffle, epoch):
    sampler = TokenBatchSampler(lengths, budget, shuffle=shuffle)
    number = len(sampler)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == number == len(sampler)
    assert flat(batches) == list(range(len(lengths)))
    assert all(max(lengths[i] for i in batch) * len(batch) <= budget for batch in batches)


def test_order_depends_on_seed_and_epoch(peptides):
    lengths = [len(record.sequence) for record in peptides]

    def epoch(seed, number):
        sampler = TokenBatchSampler(lengths, 4096, shuffle=True, seed=seed)
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(0, 0) == epoch(0, 0)
    assert epoch(0, 0) != epoch(1, 0)
    # Not only the order of the batches changes, but also what is in them.
    first, second = ({frozenset(batch) for batch in epoch(0, number)} for number in (0, 1))
    assert len(first & second) < 0.1 * len(first)


def test_nearly_equal_lengths_are_mixed():
    sampler = TokenBatchSampler([100] * 10 + [101] * 10, 1010, shuffle=True)
    assert any(min(batch) < 10 <= max(batch) for batch in sampler)


def test_without_shuffling_the_longest_come_first():
    sampler = TokenBatchSampler(LENGTHS, 30)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) == first
    assert first[0] == [LENGTHS.index(30)]


def test_epoch_is_read_when_the_iteration_begins():
    sampler = TokenBatchSampler(LENGTHS, 30, shuffle=True)
    iterator = iter(sampler)
    sampler.set_epoch(3)
    late = list(iterator)
    assert late == list(sampler)
    sampler.set_epoch(0)
    assert late != list(sampler)


def test_start_skips_once():
    sampler = TokenBatchSampler(LENGTHS, 30, shuffle=True)
    whole = list(sampler)
    sampler.start = 2
    assert list(sampler) == whole[2:]
    assert list(sampler) == whole


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_batches(world_size):
    whole = TokenBatchSampler(LENGTHS, 30, shuffle=True)
    shares = [
        TokenBatchSampler(LENGTHS, 30, shuffle=True, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    parts = [list(share) for share in shares]
    assert {len(part) for part in parts} == {len(share) for share in shares} == {len(parts[0])}
    assert {tuple(b) for part in parts for b in part} == {tuple(b) for b in whole}
    assert sum(map(len, parts)) - len(whole) < world_size


def test_padding_waste_by_hand():
    sampler = TokenBatchSampler([10, 9, 5, 4], 20)
    assert list(sampler) == [[0, 1], [2, 3]]
    assert sampler.padding_waste() == pytest.approx(1 - 28 / 30)
    assert TokenBatchSampler([], 20).padding_waste() == 0


@pytest.mark.parametrize("name", ["peptides", "proteins"])
def test_padding_is_at_most_5_percent(name, request):
    records = Records(request.getfixturevalue(name))
    data = DataModule(records, target_type="next_token", split="random", tokens_per_batch=4096)
    for epoch in range(3):
        sampler = data.train_dataloader().batch_sampler
        sampler.set_epoch(epoch)
        assert sampler.padding_waste() <= 0.05


def test_a_graph_above_the_budget_is_an_error():
    with pytest.raises(ValueError, match=r"tokens_per_batch=29 .* 30 tokens.*data\.max_length"):
        TokenBatchSampler(LENGTHS, 29)


@given(st.integers(0, 300), st.integers(1, 70), st.booleans(), st.integers(0, 3))
def test_every_graph_once_in_batches_of_nearly_one_size(number, batch_size, shuffle, epoch):
    sampler = GraphBatchSampler(number, batch_size, shuffle=shuffle)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert flat(batches) == list(range(number))
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == len(sampler) == -(-number // batch_size)
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert max(sizes, default=0) <= batch_size


def test_batches_of_graphs_are_drawn_anew():
    def epoch(seed, number, **kwargs):
        sampler = GraphBatchSampler(100, 8, shuffle=True, seed=seed, **kwargs)
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(0, 0) == epoch(0, 0) != epoch(1, 0)
    assert epoch(0, 0) != epoch(0, 1)
    shares = [epoch(0, 0, rank=rank, world_size=2) for rank in range(2)]
    assert [b for pair in zip(*shares, strict=True) for b in pair][:13] == epoch(0, 0)
    assert list(GraphBatchSampler(5, 2)) == [[0, 1], [2, 3], [4]]


def test_a_batch_holds_at_least_one_graph():
    with pytest.raises(ValueError, match=r"data\.batch_size must be at least 1, got 0"):
        GraphBatchSampler(3, 0)
