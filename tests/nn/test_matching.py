import pytest
from laws import make_attention
from torch import nn

from gia.nn import Block, LanguageModel, SwiGLU, count_parameters, match_width


def model(name, hidden):
    block = Block(16, attention=make_attention(name), mlp=SwiGLU(16, hidden))
    return LanguageModel(vocab_size=5, width=16, heads=2, depth=2, block=block)


@pytest.mark.parametrize("name", ["gin", "pna", "softmax"])
def test_variants_get_the_same_size(name):
    target = count_parameters(model("softmax", 200))
    width = match_width(lambda hidden: model(name, hidden), target)
    assert abs(count_parameters(model(name, width)) - target) <= 0.01 * target
    for other in (width - 1, width + 1):
        difference = abs(count_parameters(model(name, other)) - target)
        assert difference >= abs(count_parameters(model(name, width)) - target)


def test_shared_parameters_count_once():
    shared = model("gin", 8)
    assert count_parameters(shared) == sum({id(p): p.numel() for p in shared.parameters()}.values())


def test_no_match_is_an_error():
    with pytest.raises(ValueError, match="no MLP width brings this model to 10 parameters"):
        match_width(lambda hidden: nn.Linear(7, hidden), 10)


def test_a_width_without_effect_is_an_error():
    with pytest.raises(ValueError, match="does not change this model, of 12 parameters"):
        match_width(lambda hidden: nn.Linear(3, 3), 1000)
