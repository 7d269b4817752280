import pytest
import torch
from laws import ATTENTIONS, make_model

from gia.nn import generate

PROMPTS = [torch.tensor([0]), torch.tensor([0, 3, 5]), torch.tensor([0, 7])]


@pytest.fixture
def model():
    return make_model("gin")


def test_greedy_follows_the_likeliest_token(model):
    made = generate(model, PROMPTS, max_new_tokens=5, temperature=0)
    model.eval()
    for prompt, sequence in zip(PROMPTS, made, strict=True):
        assert torch.equal(sequence[: len(prompt)], prompt)
        assert len(sequence) == len(prompt) + 5
        alone = generate(model, [prompt], max_new_tokens=5, temperature=0)[0]
        assert torch.equal(sequence, alone)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_cache_changes_nothing(name):
    """Prompts of different lengths, sequences that end at different times."""
    model = make_model(name).double()

    def sample(use_cache):
        generator = torch.Generator().manual_seed(3)
        return generate(
            model,
            PROMPTS * 4,
            max_new_tokens=25,
            stop=4,
            forbid=[2],
            generator=generator,
            use_cache=use_cache,
        )

    with_cache, without = sample(True), sample(False)
    assert len({len(sequence) for sequence in with_cache}) > 3
    assert all(map(torch.equal, with_cache, without))


def test_nothing_to_do():
    model = make_model("gin")
    assert generate(model, [], max_new_tokens=3) == []
    (same,) = generate(model, PROMPTS[1:2], max_new_tokens=0)
    assert torch.equal(same, PROMPTS[1])


def test_samples_repeat_with_the_seed(model):
    def sample(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.stack(generate(model, PROMPTS[:1] * 8, max_new_tokens=9, generator=generator))

    assert torch.equal(sample(1), sample(1))
    assert not torch.equal(sample(1), sample(2))
    assert len(sample(1).unique(dim=0)) > 1


def test_samples_follow_the_model(model):
    with torch.no_grad():
        model.encoder.token.weight.mul_(40)  # far from uniform
    made = torch.stack(generate(model, PROMPTS[:1] * 4000, max_new_tokens=1))[:, 1]
    greedy = generate(model, PROMPTS[:1], max_new_tokens=1, temperature=0)[0][1]
    shares = made.bincount(minlength=11) / 4000
    assert shares.argmax() == greedy
    assert (shares > 0).sum() > 2


def test_top_k_and_top_p_keep_the_likeliest(model):
    with torch.no_grad():
        model.encoder.token.weight.mul_(40)
    arguments = {"max_new_tokens": 1}
    greedy = generate(model, PROMPTS[:1], temperature=0, **arguments)[0][1]
    for limit in ({"top_k": 1}, {"top_p": 1e-6}):
        made = torch.stack(generate(model, PROMPTS[:1] * 50, **limit, **arguments))[:, 1]
        assert (made == greedy).all()
    made = torch.stack(generate(model, PROMPTS[:1] * 2000, top_k=3, **arguments))[:, 1]
    assert len(made.unique()) == 3


def test_stop_and_forbidden_tokens(model):
    made = generate(model, PROMPTS[:1] * 40, max_new_tokens=30, stop=4, forbid=[2, 5])
    lengths = {len(sequence) for sequence in made}
    assert len(lengths) > 1
    for sequence in made:
        assert not torch.isin(sequence[1:], torch.tensor([2, 5])).any()
        ended = (sequence == 4).nonzero().flatten().tolist()
        assert ended in ([], [len(sequence) - 1])


def test_training_mode_is_given_back(model):
    model.train()
    generate(model, PROMPTS, max_new_tokens=1)
    assert model.training
    with pytest.raises(IndexError):
        generate(model, PROMPTS, max_new_tokens=1, forbid=[99])
    assert model.training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": [torch.tensor([], dtype=torch.long)]}, "a prompt needs at least one token"),
        ({"max_new_tokens": -1}, "must not be negative, got -1"),
        ({"temperature": -0.5}, "temperature must not be negative, got -0.5"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
    ],
)
def test_bad_settings_are_named(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(model, **({"prompts": PROMPTS, "max_new_tokens": 1} | arguments))
