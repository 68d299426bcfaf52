"""The mean of several LoRA adapters of one base, as one adapter of the rank of the largest.

The mean of factors is not the mean of what they do: what is averaged are the changes ``scale x B A`` themselves. Their
sum has the ranks of all together, and is cut to its largest singular values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from tunewright.engine.attach import attach_lora
from tunewright.engine.export import AdapterFile, load_tensors, read_adapter, read_tensors
from tunewright.engine.pack import Pack

Tensors = dict[str, torch.Tensor]


def can_be_averaged(folders: Sequence[Path]) -> bool:
    """Whether these are plain adapters of the same layers, without layers that were trained whole.

    Raises ModelError for a folder that holds no readable adapter.
    """
    found = [read_adapter(folder) for folder in folders]
    return len({str(one.target) for one in found}) == 1 and not any(one.modules_to_save for one in found)


def attach_mean(model: nn.Module, folders: Sequence[Path]) -> Pack:
    """The frozen base with the mean of these adapters on it, in a pack of one; ``detach()`` leaves it bare.

    It has the largest rank among them and the first one's alpha. Raises ModelError when one of them is damaged or does
    not fit the base.
    """
    found = [read_adapter(folder) for folder in folders]
    spec = max((one.spec for one in found), key=lambda spec: spec.rank)
    pack = attach_lora(model, [spec], target=found[0].target)
    load_tensors(pack, 0, _mean(found, spec.rank, spec.scale), where=" + ".join(map(str, folders)))
    return pack


def _mean(found: Sequence[AdapterFile], rank: int, scale: float) -> Tensors:
    """Tensors under PEFT's names: lora_A [rank, in], lora_B [out, rank], of which scale x B A is the mean."""
    tensors = [read_tensors(one.folder) for one in found]
    mean: Tensors = {}
    for name in tensors[0]:
        if not name.endswith("lora_A.weight"):
            continue
        name_of_B = f"{name.removesuffix('lora_A.weight')}lora_B.weight"
        A_Ri = torch.cat([one[name].double() for one in tensors])
        shares = [one.spec.scale / scale / len(found) for one in found]
        B_oR = torch.cat([one[name_of_B].double() * share for one, share in zip(tensors, shares, strict=True)], dim=1)
        mean[name], mean[name_of_B] = cut_to_rank(A_Ri, B_oR, rank)
    return mean


def cut_to_rank(A_Ri: torch.Tensor, B_oR: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The product B A by its ``rank`` largest singular values, as (A [rank, in], B [out, rank]) in float32.

    Of factors, not of the product, which for a large layer would not fit: both are made orthogonal first. Where the
    product has a lower rank, the rest is zero.

    >>> A_ri, B_or = cut_to_rank(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.eye(2), 1)
    >>> bool(torch.allclose(B_or @ A_ri, torch.tensor([[2.0, 0.0], [0.0, 0.0]])))
    True
    """
    Q_oq, R_qR = torch.linalg.qr(B_oR)
    P_ip, S_pR = torch.linalg.qr(A_Ri.T)
    U_qs, sigma_s, V_sp = torch.linalg.svd(R_qR @ S_pR.T, full_matrices=False)
    kept = min(rank, len(sigma_s))
    half_s = sigma_s[:kept].sqrt()
    A_ri, B_or = A_Ri.new_zeros(rank, A_Ri.shape[1]), B_oR.new_zeros(B_oR.shape[0], rank)
    A_ri[:kept] = half_s[:, None] * (V_sp[:kept] @ P_ip.T)
    B_or[:, :kept] = (Q_oq @ U_qs[:, :kept]) * half_s
    return A_ri.float(), B_or.float()
