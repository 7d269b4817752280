"""torch.compile makes one piece of each block, and few of them for batches of all shapes."""

import pytest
import torch
from laws import ATTENTIONS, make_model, sequences
from torch._dynamo.testing import CompileCounterWithBackend
from torch_geometric.data import Batch

from gia.nn import generate

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


def compare(compiled, plain, batches):
    for sizes in batches:
        graphs = sequences(sizes)
        found, expected = (loss_and_gradients(model, graphs) for model in (compiled, plain))
        for left, right in zip(found, expected, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)


def validate(compiled, plain):
    """As Lightning does: in eval mode, without gradients of any kind."""
    with torch.inference_mode():
        for sizes in BATCHES[:3]:
            batch = Batch.from_data_list(sequences(sizes))
            found, expected = (model.eval()(batch) for model in (compiled, plain))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    compiled.train(), plain.train()


@pytest.mark.parametrize(
    "name", [name if name == "pna" else pytest.param(name, marks=SLOW) for name in ATTENTIONS]
)
def test_blocks_are_compiled_whole_and_seldom(name):
    """Through a run: validation, training on batches of all shapes, validation again."""
    counter = CompileCounterWithBackend("aot_eager")
    compiled, plain = make_model(name), make_model(name)
    plain.load_state_dict(compiled.state_dict())
    compiled.compile_blocks(fullgraph=True, backend=counter)  # an error where the graph breaks
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    validate(compiled, plain)
    compare(compiled, plain, BATCHES)
    validate(compiled, plain)
    assert counter.frame_count <= 6  # torch gives up at 8
    assert len(generate(compiled, [torch.tensor([1, 2])], max_new_tokens=3)[0]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gin", "pna"])
def test_compiled_kernels_agree(name):
    compiled, plain = make_model(name), make_model(name)
    plain.load_state_dict(compiled.state_dict())
    compiled.compile_blocks(fullgraph=True)
    compare(compiled, plain, BATCHES[:4])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gin_top_k", "pna_token"])
def test_models_that_choose_edges_are_compiled_around_the_choice(name):
    compiled, plain = make_model(name), make_model(name)
    plain.load_state_dict(compiled.state_dict())
    compiled.compile_blocks(backend="aot_eager")
    compare(compiled, plain, [[5, 5], [6, 150, 6]])
