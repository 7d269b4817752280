import pytest
import torch

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    Differential,
    DotProductScore,
    HeadNorm,
    ReLU,
    Softmax,
    Uniform,
    sparsify,
)

FUNCTIONS = {
    "relu": (sparsify.ReLU, lambda a, t: (a - t).clamp(min=0)),
    "silu": (sparsify.SiLU, lambda a, t: (a - t) * torch.sigmoid(a - t)),
    "softplus": (sparsify.Softplus, lambda a, t: torch.log1p(torch.exp(a - t))),
    "sharp_softplus": (
        lambda t, **kwargs: sparsify.Softplus(t, sharpness=10.0, **kwargs),
        lambda a, t: torch.log1p(torch.exp(10 * (a - t))) / 10,
    ),
    "sigmoid": (sparsify.Sigmoid, lambda a, t: torch.sigmoid(10 * (a - t))),
    "flow": (sparsify.Flow, lambda a, t: torch.sigmoid(5 * a) * torch.sigmoid(50 * (a - t))),
    "silu_plus_binary": (
        sparsify.SiLUPlusBinary,
        lambda a, t: (a - t) * torch.sigmoid(a - t) + (a > t).to(a.dtype),
    ),
    "silu_below": (
        sparsify.BelowAbove,
        lambda a, t: torch.where(a > t, 1.0, (a - t) * torch.sigmoid(a - t)),
    ),
    "softplus_below": (
        lambda t, **kwargs: sparsify.BelowAbove(t, below="softplus", **kwargs),
        lambda a, t: torch.where(a > t, 1.0, torch.log1p(torch.exp(a - t))),
    ),
    "relu_below": (
        lambda t, **kwargs: sparsify.BelowAbove(t, below="relu", **kwargs),
        lambda a, t: (a > t).to(a.dtype),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.usefixtures("float64")
def test_values_are_those_of_the_formula(name):
    function, formula = FUNCTIONS[name]
    weight = torch.cat([torch.rand(50), -torch.rand(10), torch.tensor([0.0, 1.0])])
    found = function(0.2)(weight, None)
    torch.testing.assert_close(found, formula(weight, 0.2))


@pytest.mark.parametrize("form", ["dense", "edges"])
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "relu_below"])
def test_a_trained_threshold_has_a_gradient(name, form):
    function, _ = FUNCTIONS[name]
    threshold = function(0.2, train_threshold=True)
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), sparsify=threshold, form=form
    )
    graph = adjacency(torch.randn(7, 8), CausalScope(torch.tensor([0, 7])))
    graph.sum(torch.randn(7, 2, 4)).square().sum().backward()
    assert threshold.threshold.grad.abs() > 1e-4
    assert adjacency.score.q_proj.weight.grad.abs().sum() > 0
    assert not function(0.2).threshold.requires_grad


def test_the_threshold_starts_anew():
    threshold = sparsify.SiLU(0.3, train_threshold=True)
    torch.nn.init.zeros_(threshold.threshold)
    threshold.reset_parameters()
    assert threshold.threshold.item() == pytest.approx(0.3)


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_impossible_thresholds_are_named(name, threshold):
    with pytest.raises(ValueError, match=f"finite and not negative, got {threshold}"):
        FUNCTIONS[name][0](threshold)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_threshold_that_no_weight_exceeds_is_named(name):
    high = FUNCTIONS[name][0](1.0)
    for normalize in (Softmax(), Uniform(), Differential()):
        with pytest.raises(ValueError, match=r"below 1, which no weight exceeds, got 1\.0"):
            AttentionAdjacency(score=None, normalize=normalize, sparsify=high)
    for normalize in (ReLU(), Differential(head_norm=HeadNorm(2))):  # weights without a bound
        assert AttentionAdjacency(score=None, normalize=normalize, sparsify=high).sparsify is high


def test_unknown_functions_are_named():
    with pytest.raises(ValueError, match="below must be one of silu, softplus, relu, got 'gelu'"):
        sparsify.BelowAbove(below="gelu")
