import pytest
import torch

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    ConstantScore,
    DotProductScore,
    FullScope,
    PairNetworkScore,
    Softmax,
    Uniform,
)


def test_dot_products_are_scaled_by_the_root_of_the_channels():
    score, x = DotProductScore(12, 3), torch.randn(5, 12)
    (block,) = FullScope(torch.tensor([0, 5])).blocks(3)
    q, k = (proj(x).view(5, 3, 4).transpose(0, 1) for proj in (score.q_proj, score.k_proj))
    torch.testing.assert_close(score(x).on(block)[0], q @ k.transpose(1, 2) / 2)


def test_the_network_sees_target_and_source_side_by_side():
    score, x = PairNetworkScore(6, 2, hidden_channels=7), torch.randn(4, 6)
    (block,) = FullScope(torch.tensor([0, 4])).blocks(2)
    target, source = x.repeat_interleave(4, 0), x.repeat(4, 1)
    hidden = torch.nn.functional.silu(score.hidden(torch.cat([target, source], dim=1)))
    expected = score.out(hidden).view(4, 4, 2).permute(2, 0, 1)
    torch.testing.assert_close(score(x).on(block)[0], expected)


def test_constant_scores_are_the_uniform_graph():
    x, scope = torch.randn(5, 8), CausalScope(torch.tensor([0, 2, 5]))
    graphs = [
        AttentionAdjacency(score=ConstantScore(8, 2), normalize=normalize)(x, scope).to_edges()
        for normalize in (Softmax(), Uniform())
    ]
    torch.testing.assert_close(graphs[0].edge_weight, graphs[1].edge_weight)
    torch.testing.assert_close(graphs[0].degree(), torch.ones(5, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DotProductScore(16, 3), "3 heads, 16 wide"),
        (lambda: DotProductScore(16, 0), "0 heads, 16 wide"),
        (lambda: PairNetworkScore(16, 0), "at least 1, got 0 and 512"),
        (lambda: PairNetworkScore(16, 2, hidden_channels=0), "at least 1, got 2 and 0"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
