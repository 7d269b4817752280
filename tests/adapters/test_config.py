"""Options of adapters: saved as they are, and refused where they make no sense."""

import json

import pytest

from gia.adapters import SparseGINConfig


def test_saved_and_loaded_is_the_same():
    config = SparseGINConfig(combine="any", cut=0.5, distance="exp", layers=[3, 1])
    values = json.loads(json.dumps(config.to_dict()))
    assert values["layers"] == [3, 1]
    assert SparseGINConfig.from_dict(values) == config
    assert SparseGINConfig.from_dict({}) == SparseGINConfig()


def test_unknown_options_are_named_with_what_is_close():
    with pytest.raises(ValueError, match=r"no option 'treshold': did you mean threshold"):
        SparseGINConfig.from_dict({"treshold": 0.2})
    with pytest.raises(ValueError, match="no option 'zzz'"):
        SparseGINConfig.from_dict({"zzz": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"combine": "max"}, "combine must be one of 'sum', 'mean'.* got 'max'"),
        ({"distance": "linear"}, "distance must be one of 'sigmoid', 'exp', 'power', None"),
        ({"conv": None}, "conv must be one of"),
        ({"self_loops": "no"}, "self_loops must be one of True, False, got 'no'"),
        ({"channels": 0}, "channels must be a whole number of at least 1, got 0"),
        ({"hops": 1.5}, "hops must be a whole number of at least 1, got 1.5"),
        ({"hops": None}, "hops must be a whole number"),
        ({"top_k": 0}, "top_k must be"),
        ({"sinks": -1}, "sinks must be a whole number of at least 0"),
        ({"tau": 0}, "tau must be a finite number above 0, got 0"),
        ({"alpha": -1}, "alpha must be a finite number of at least 0"),
        ({"threshold": "0.1"}, "threshold must be a finite number"),
        ({"scale": float("nan")}, "scale must be a finite number, got nan"),
        ({"dropout": 1.0}, "dropout must be a finite number of at least 0 below 1, got 1.0"),
        ({"multiplier": True}, "multiplier must be"),
        ({"layers": [1, 1]}, "layers must be different"),
        ({"layers": []}, "layers must be different"),
        ({"layers": 3}, "layers must be different"),
        ({"train_threshold": True}, "nothing to train with alpha=None"),
        ({"cut": 1.0, "alpha": 10.0}, "cut must be from 0.269 to below 1"),
        ({"cut": 0.2, "alpha": 10.0}, "cut=None to keep all pairs"),
        ({"combine": "any", "alpha": 10.0}, "or alpha=None"),
        ({"gate": "open"}, "gate must be a finite number, got 'open'"),
        ({"norm": "beside"}, "norm must be one of 'before', 'after', None, got 'beside'"),
        ({"position": "inside"}, "position must be one of 'before_mlp', 'beside_mlp'"),
        ({"scalar_lr": 0}, "scalar_lr must be a finite number above 0, got 0"),
        ({"norm": "after"}, "norm='after' cannot divide an output of 0 .*zero_output=False"),
        ({"scale": 0}, "scale=0 and zero_output=True leave each other without a gradient"),
        ({"scale": 0, "zero_output": False}, "not trained stays 0: set train_scale=True"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SparseGINConfig(**options)


def test_channels_and_scales_of_layers():
    assert SparseGINConfig().width_of_messages(3072) == 154
    assert SparseGINConfig().width_of_messages(4) == 1
    assert SparseGINConfig(channels=7).width_of_messages(3072) == 7
    assert SparseGINConfig(scale=0.2).start_of_scale(3, 5, 7) == 0.2
    assert SparseGINConfig().start_of_scale(3, 5, channels=48) == 0.25
    published = SparseGINConfig(scale_schedule="published", scale=0.1)
    starts = [published.start_of_scale(layer, 5, 7) for layer in range(5)]
    assert starts == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert published.start_of_scale(0, 1, 7) == 0.1


def test_the_published_setting_is_one_call_away():
    published = SparseGINConfig.published(channels=7)
    assert published.channels == 7
    assert (published.combine, published.alpha, published.cut) == ("sum", 10, 0.6)
    assert (published.norm, published.gate, published.position) == ("after", None, "before_mlp")
    assert (published.scale, published.train_scale, published.zero_output) == (0, True, False)
    with pytest.raises(ValueError, match="no option 'chanels'"):
        SparseGINConfig.from_saved({"chanels": 3})
    assert SparseGINConfig.from_saved({"channels": 7}) == published
    assert SparseGINConfig.from_saved(SparseGINConfig().to_dict()) == SparseGINConfig()


def test_a_cut_of_which_there_is_no_logarithm_is_refused():
    with pytest.raises(ValueError, match="cut must be from 1e-300"):
        SparseGINConfig(alpha=1000.0, threshold=0.5, cut=0.0)
