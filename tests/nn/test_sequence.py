"""Models of sequences: convolutions, recurrent networks, and convolutions before attention."""

import pytest
import torch
from graph_data import graph, make
from torch import nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence
from torch_geometric.data import Batch, Data

from gia.attention import FullScope, Memory
from gia.data.transforms.chain import chain
from gia.nn import (
    GraphContext,
    LanguageModel,
    RMSNorm,
    SequenceBlock,
    SequenceConv,
    SequenceLSTM,
    count_parameters,
)

MODELS = ["cnn", "bilstm", "hybrid", "hybrid reader=lstm"]
READERS = [
    pytest.param(lambda: SequenceConv(6, 5), id="conv"),
    pytest.param(lambda: SequenceConv(6, 3, dilation=4), id="dilated"),
    pytest.param(lambda: SequenceLSTM(6), id="lstm"),
]
SIZES = [7, 1, 12, 2]
INPUTS = {
    "vocab_size": 9,
    "node_categories": [],
    "edge_categories": [],
    "encodings": {},
    "ordered": True,
}


def sequences(lengths=SIZES) -> list[Data]:
    return [
        Data(
            token=torch.randint(9, (length,)),
            seq_pos=torch.arange(length),
            edge_index=chain(length),
            num_nodes=length,
        )
        for length in lengths
    ]


def settled(name: str, graphs: list[Data], **inputs) -> nn.Module:
    """A model in eval mode whose batch norms have seen something."""
    model = make(*f"model={name}".split(), **INPUTS | inputs)
    with torch.no_grad():
        model.train()(Batch.from_data_list(graphs))
    return model.eval()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.usefixtures("float64")
def test_no_sequence_sees_another(reader):
    """What is computed together is what each is alone, and gradients stay within a sequence."""
    reader = reader()
    x = torch.randn(sum(SIZES), 6, requires_grad=True)
    together = reader(x, SIZES)
    assert together.shape == x.shape
    for mine, alone in zip(together.split(SIZES), x.split(SIZES), strict=True):
        torch.testing.assert_close(mine, reader(alone, [len(alone)]))
    for number in range(len(SIZES)):
        (gradient,) = torch.autograd.grad(
            together.split(SIZES)[number].square().sum(), x, retain_graph=True
        )
        reached = [bool(part.any()) for part in gradient.split(SIZES)]
        assert reached == [other == number for other in range(len(SIZES))]


@pytest.mark.parametrize(("kernel_size", "dilation"), [(5, 1), (3, 2)])
@pytest.mark.usefixtures("float64")
def test_a_convolution_is_its_equation(kernel_size, dilation):
    layer, x = SequenceConv(4, kernel_size, dilation), torch.randn(9, 4)
    reach = kernel_size // 2
    expected = []
    for i in range(9):
        row = layer.conv.bias
        for k in range(-reach, reach + 1):
            if 0 <= i + dilation * k < 9:
                row = row + layer.conv.weight[:, :, k + reach] @ x[i + dilation * k]
        expected.append(row)
    torch.testing.assert_close(layer(x, [9]), torch.stack(expected))


@pytest.mark.usefixtures("float64")
def test_a_recurrent_network_reads_both_ends():
    """It is torch's bidirectional LSTM with the same weights, whatever it is batched with."""
    layer, x = SequenceLSTM(6), torch.randn(9, 6)
    whole = nn.LSTM(6, 3, bidirectional=True)
    state = {f"{name}_reverse": value for name, value in layer.backwards.state_dict().items()}
    whole.load_state_dict(layer.onwards.state_dict() | state)
    torch.testing.assert_close(layer(x, [9]), whole(x)[0])
    packed = pack_sequence(x.split([2, 6, 1]), enforce_sorted=False)
    expected = torch.cat(unpack_sequence(whole(packed)[0]))
    torch.testing.assert_close(layer(x, [2, 6, 1]), expected)
    before = layer(x, [9])
    for end in (0, 8):
        changed = x.clone()
        changed[end] += 1
        assert (layer(changed, [9]) != before).any(1).all()


@pytest.mark.parametrize("reader", READERS)
def test_sequences_of_no_length_and_no_sequences(reader):
    reader, x = reader(), torch.randn(5, 6)
    torch.testing.assert_close(reader(x, [0, 2, 0, 3, 0]), reader(x, [2, 3]))
    assert reader(x[:0], []).shape == (0, 6)


def context(seq_pos, ptr) -> GraphContext:
    return GraphContext(FullScope(torch.tensor(ptr)), seq_pos=seq_pos)


def test_a_sequence_begins_with_a_graph_and_where_positions_start_again():
    assert context(torch.arange(5), [0, 5]).sequence_sizes == [5]
    assert context(torch.tensor([0, 1, 2, 3, 4]), [0, 2, 5]).sequence_sizes == [2, 3]
    chains = torch.tensor([3, 4, 7, 0, 1, 0, 0, 0])  # a gap is none; the last are no sequence
    assert context(chains, [0, 8]).sequence_sizes == [3, 2, 1, 1, 1]
    assert context(torch.arange(3), [0, 0, 3, 3]).sequence_sizes == [3]


@pytest.mark.parametrize("level", ["graph", "node"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("float64")
def test_law_5_batch_invariance(name, level):
    graphs = sequences()
    model = settled(name, graphs, level=level)
    with torch.no_grad():
        together = model(Batch.from_data_list(graphs))
        assert together.shape == (len(SIZES) if level == "graph" else sum(SIZES), 2)
        parts = together.split(SIZES if level == "node" else 1)
        for data, mine in zip(graphs, parts, strict=True):
            torch.testing.assert_close(model(data), mine)
            torch.testing.assert_close(model(Batch.from_data_list([data])), mine)


@pytest.mark.parametrize("level", ["graph", "node"])
@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_trained(name, level):
    edges = [] if name in ("cnn", "bilstm") else ["given=messages", "score=graph"]
    model = make(*f"model={name}".split(), *edges, **INPUTS | {"level": level})
    model(Batch.from_data_list(sequences())).pow(3).sum().backward()
    assert not [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("name", ["cnn", "bilstm"])
def test_what_stands_where_is_all_that_counts(name):
    """The order of the symbols, and none of the edges, which need not be there."""
    data = sequences([9])[0]
    model = settled(name, sequences(), level="node")
    with torch.no_grad():
        said = model(data)
        other = data.clone()
        del other.edge_index
        assert torch.equal(model(other), said)
        turned = data.clone()
        turned.token = data.token.flip(0)
        assert not torch.allclose(model(turned).flip(0), said)


@pytest.mark.parametrize("name", MODELS)
def test_the_knob_changes_the_size(name):
    choice = f"model={name}".split()
    sizes = [count_parameters(make(*choice, f"mlp.hidden={h}", **INPUTS)) for h in (8, 9)]
    assert sizes[0] < sizes[1]


def test_a_block_may_be_its_reader_alone():
    block, x = SequenceBlock(reader=SequenceConv(4, 3), norm=RMSNorm(4)), torch.randn(5, 4)
    graphs = context(torch.arange(5), [0, 2, 5])
    expected = x + block.reader(block.reader_norm(x), [2, 3])
    torch.testing.assert_close(block(x, graphs), expected)
    assert block.mlp is None


@pytest.mark.parametrize("name", MODELS)
def test_graphs_that_are_no_sequences_are_named(name):
    data = graph(5, 4)
    del data.seq_pos
    with pytest.raises(ValueError, match=r"order of a sequence, but the data has no seq_pos: give"):
        make(*f"model={name}".split())(data)


def test_what_does_not_fit_is_named():
    for kernel_size in (0, 4, -3):
        with pytest.raises(ValueError, match=f"must be odd and at least 1, got {kernel_size}"):
            SequenceConv(4, kernel_size)
    with pytest.raises(ValueError, match="dilation must be at least 1, got 0"):
        SequenceConv(4, 3, 0)
    with pytest.raises(ValueError, match="a width of 5 cannot be shared by two directions"):
        SequenceLSTM(5)
    block = SequenceBlock(reader=SequenceLSTM(4), norm=RMSNorm(4))
    with pytest.raises(ValueError, match="SequenceLSTM reads both sides of a node and cannot be"):
        block(torch.randn(3, 4), context(torch.arange(3), [0, 3]), Memory(3))
    with pytest.raises(ValueError, match="must not see what it is to predict, but SequenceBlock"):
        LanguageModel(vocab_size=5, width=4, heads=1, depth=1, block=block)
