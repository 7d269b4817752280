"""torch.compile makes one piece of each block, and few of them for batches of all shapes."""

import pytest
import torch
from laws import ATTENTIONS, make_model, sequences
from torch._dynamo.testing import CompileCounterWithBackend
from torch_geometric.data import Batch

from gia.models import generate

SLOW = pytest.mark.slow
BATCHES = [[5, 5], [6, 4, 6], [40, 1, 38], [7, 7, 7], [9, 8, 8, 9], [300, 2, 2], [3, 5, 0]]


def loss_and_gradients(model, graphs):
    model.zero_grad()
    batch = Batch.from_data_list(graphs)
    loss = torch.nn.functional.cross_entropy(model(batch), batch.y)
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters())]


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compare(name, batches, **options):
    compiled, plain = make_model(name), make_model(name)
    plain.load_state_dict(compiled.state_dict())
    compiled.compile_blocks(fullgraph=True, **options)  # an error where the graph breaks
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for sizes in batches:
        graphs = sequences(sizes)
        pairs = zip(
            loss_and_gradients(compiled, graphs), loss_and_gradients(plain, graphs), strict=True
        )
        for found, expected in pairs:
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    return compiled


@pytest.mark.parametrize(
    "name", [name if name == "pna" else pytest.param(name, marks=SLOW) for name in ATTENTIONS]
)
def test_blocks_are_compiled_whole_and_seldom(name):
    counter = CompileCounterWithBackend("aot_eager")
    model = compare(name, BATCHES, backend=counter)
    assert counter.frame_count <= 5  # of 8 shapes: one that is fixed, then ever more general
    assert len(generate(model, [torch.tensor([1, 2])], max_new_tokens=3)[0]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gin", "pna"])
def test_compiled_kernels_agree(name):
    compare(name, BATCHES[:4])
