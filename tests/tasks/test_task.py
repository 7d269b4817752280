from itertools import pairwise

import torch
from laws import make_model
from torch_geometric.nn import LayerNorm

from gia.tasks import parameter_groups
from gia.training.schedules import constant, cosine


def test_only_weight_matrices_decay():
    model = make_model("gin_out_proj")
    decayed, free = parameter_groups(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert free["weight_decay"] == 0
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    for parameter in free["params"]:
        name = names[parameter]
        assert name.endswith(("bias", "eps", "sharpening")) or "norm" in name or "net.2" in name
    assert all(names[parameter].endswith("weight") for parameter in decayed["params"])
    assert any("eps" in names[parameter] for parameter in free["params"])
    assert any("sharpening" in names[parameter] for parameter in free["params"])


def test_norms_of_other_libraries_do_not_decay():
    decayed, free = parameter_groups(torch.nn.Sequential(LayerNorm(4), torch.nn.Linear(4, 4)))
    assert len(decayed["params"]) == 1
    assert len(free["params"]) == 3


def rates(schedule, steps, **arguments):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    scheduler = schedule(optimizer, total_steps=steps, **arguments)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_warms_up_and_stays():
    assert rates(constant, 6, warmup_steps=4) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert rates(constant, 2, warmup_steps=0) == [2.0, 2.0]


def test_cosine_warms_up_and_falls():
    found = rates(cosine, 40, warmup_steps=4, final=0.1)
    assert found[:4] == [0.5, 1.0, 1.5, 2.0]
    assert all(later < earlier for earlier, later in pairwise(found[5:]))
    assert 0.2 < found[-1] < 0.22
