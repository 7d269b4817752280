"""The layers at one size: what fits, and what each holds."""

import pytest
import torch
from harness import peak_memory
from layers import GRAPHS, LAYERS, QUADRATIC, Case, fitting, full_scope, prepare, prepare_forward


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_layers_run_forward_and_backward(layer, dtype):
    case = Case(layer, length=6, batch=2, width=24, heads=2, dtype=dtype)
    out = prepare_forward(case)()
    assert out.shape == (2, 6, 24)
    assert out.dtype == getattr(torch, dtype)
    assert out.isfinite().all()
    prepare(case)()


def test_full_scope_batches_are_nearly_half_padding():
    ours, padded, waste = full_scope(Case("gin", length=40, batch=GRAPHS, width=24, heads=2))
    assert waste == pytest.approx(0.45, abs=0.01)
    ours()
    padded()


def test_layers_that_do_not_fit_get_a_smaller_batch_or_none():
    case = Case("eager_gin", length=100, batch=8, width=24, heads=2)
    needed = QUADRATIC["eager_gin"][1](case)
    assert fitting(case, 2 * needed) == case
    assert fitting(case, needed).batch == 4
    assert fitting(case, needed / 4).batch == 1
    assert fitting(case, needed / 16) is None
    linear = Case("gin", length=100, batch=8)
    assert fitting(linear, 0) == linear


def test_layer_that_writes_the_graph_out_holds_that_much():
    case = Case("eager_gin", length=512, batch=1, width=16, heads=4)
    tiny = Case("eager_gin", length=4, batch=1, width=16, heads=4)
    peak = peak_memory(prepare, case, tiny, threads=1, device="cpu")
    graph = 4 * 512 * 512 * 4
    assert 2 * graph < peak < QUADRATIC["eager_gin"][1](case)
