"""Law 8 for changed sequences: going on from their first change is a pass over the whole."""

import pytest
import torch
from laws import make_model, sequences

from gia.data.schema import IGNORED
from gia.tasks import continued
from gia.tasks.continued import log_ratios

CHANGES = [{5: 1}, {1: 2}, {5: 7, 9: 3}, {5: 2}, {11: 4}, {2: 8, 3: 8, 11: 8}, {9: 1}]


def item():
    (data,) = sequences([12])
    data.y = torch.cat([data.token[1:], torch.tensor([10])])
    return data


def whole(model, data, change):
    """By its definition: the difference of two whole sequences."""

    def log_p(data):
        logits = model(data).log_softmax(-1)
        return sum(logits[i, y].double() for i, y in enumerate(data.y.tolist()) if y != IGNORED)

    changed = data.clone()
    for node, symbol in change.items():
        changed.token[node] = changed.y[node - 1] = symbol
    return float(log_p(changed) - log_p(data))


@pytest.mark.parametrize("tokens", [16384, 9])
@pytest.mark.parametrize("name", ["gin", "pna", "softmax"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@torch.no_grad()
def test_it_is_the_ratio_of_whole_sequences(monkeypatch, name, tokens, dtype, tolerance):
    monkeypatch.setattr(continued, "TOKENS", tokens)
    model, data = make_model(name).eval().to(dtype), item()
    found = log_ratios(model, data, CHANGES)
    expected = [whole(model, data, change) for change in CHANGES]
    assert found.tolist() == pytest.approx(expected, abs=tolerance)
    data.y[[0, 6, 11]] = IGNORED  # what is not scored
    found = log_ratios(model, data, CHANGES[2:])
    expected = [whole(model, data, change) for change in CHANGES[2:]]
    assert found.tolist() == pytest.approx(expected, abs=tolerance)


@torch.no_grad()
def test_the_common_beginning_is_computed_once(monkeypatch):
    model, data, nodes = make_model("gin").eval(), item(), []
    model.register_forward_hook(lambda _, inputs, __: nodes.append(inputs[0].num_nodes))
    log_ratios(model, data, [{8: symbol} for symbol in range(5)])
    assert nodes == [12, 5 * 8, 5 * 4]


def test_nothing_is_before_the_first_node():
    model, data = make_model("gin").eval(), item()
    with pytest.raises(ValueError, match="the first node is changed"):
        log_ratios(model, data, [{3: 1}, {0: 1, 4: 2}])
    assert log_ratios(model, data, []).shape == (0,)
