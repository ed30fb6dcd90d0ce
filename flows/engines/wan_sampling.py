"""From noise to videos: one request's condition, encoded once, and as many videos as are asked for."""

# Shape letters: B videos, C channels, N slots of latent time, T frames, H, W; L tokens, D

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from numpy.typing import NDArray
from torch import Tensor

from flows.engines.ports import Generated, Request
from flows.engines.wan import Canvas, Sampling
from flows.engines.wan_networks import Networks
from trainers.policies.sampling import schedule

WAN_START = 0.999
"""Where Wan's own code begins, before the shift: Wan-Video/Wan2.1 at 9737cba, wan/utils/fm_solvers_unipc.py."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch:
    """One of the answers that guidance adds up."""

    weight: float
    """The weights of all branches add up to 1."""
    text_LD: Tensor
    slots_CNHW: Tensor | None = None
    """Clean latents that follow the video's in time; what the transformer answers there is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """What the transformer is shown beside the noisy latents: of each of the three ways some fields are None."""

    branches: tuple[Branch, ...]
    latent_shape: tuple[int, int, int, int]
    """(C, N, H, W) of what is sampled."""
    control_CNHW: Tensor | None = None
    """For the control branch of VACE."""
    channels_CNHW: Tensor | None = None
    """Joined to the latents as further channels."""
    picture_LD: Tensor | None = None
    """An embedded picture, attended to beside the text."""
    num_leading_slots: int = 0
    """Slots at the beginning that are sampled with the video's and cut off before decoding."""
    num_leading_frames: int = 0
    """Frames at the beginning that are cut off after decoding."""


def guided(guidance: float, *, prompt_LD: Tensor, negative_LD: Tensor) -> tuple[Branch, ...]:
    """negative + guidance (prompt - negative); at guidance 1 the prompt's branch alone."""
    return weighed(
        Branch(weight=guidance, text_LD=prompt_LD),
        Branch(weight=1 - guidance, text_LD=negative_LD),
    )


def weighed(*branches: Branch) -> tuple[Branch, ...]:
    """The branches that count."""
    return tuple(branch for branch in branches if branch.weight)


def generated(
    networks: Networks, condition: Condition, request: Request, canvas: Canvas, sampling: Sampling, *, name: str
) -> Iterator[Generated]:
    """The request's videos at its own size, length and frame rate."""
    seeds = [request.seed + number for number in range(sampling.num_videos)]
    for video in videos(networks, condition, seeds, sampling):
        yield Generated(
            generator=name,
            severity=None,
            frames=canvas.fitted(video),
            frame_rate=request.frame_rate,
        )


@torch.no_grad()
def videos(
    networks: Networks, condition: Condition, seeds: Sequence[int], sampling: Sampling
) -> Iterator[NDArray[np.uint8]]:
    """(T, H, W, 3) in RGB for each seed, all in one batch; where the GPU's memory is too small, in smaller ones.

    A video's noise depends on its own seed alone, and is drawn on the CPU: the same on every machine.
    """
    waiting, at_once = list(seeds), len(seeds)
    while waiting:
        try:
            latent_BCNHW = integrate(networks, condition, noise_of(condition, waiting[:at_once]), sampling)
        except torch.OutOfMemoryError:
            if at_once == 1:
                raise
            at_once = -(-at_once // 2)
            torch.cuda.empty_cache()
            continue
        waiting = waiting[at_once:]
        for latent_CNHW in latent_BCNHW[:, :, condition.num_leading_slots :]:
            video_3THW = networks.decode(latent_CNHW[None])[0, :, condition.num_leading_frames :]
            pixels = video_3THW.add(1).mul(127.5).round().clamp(0, 255).byte()
            yield pixels.permute(1, 2, 3, 0).cpu().numpy()


def noise_of(condition: Condition, seeds: Sequence[int]) -> Tensor:
    """(B, C, N, H, W) from a standard normal, one seed a video."""
    shape = condition.latent_shape
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def integrate(networks: Networks, condition: Condition, noise_BCNHW: Tensor, sampling: Sampling) -> Tensor:
    """The latents that the noise becomes: (B, C, N, H, W) in float32. `ValueError` where numbers ran out of range."""
    scheduler = scheduler_of(sampling, networks.device)
    latent = noise_BCNHW.to(networks.device)
    with networks.running(networks.transformer):
        for t in scheduler.timesteps:
            latent = scheduler.step(velocity(networks, condition, latent, t), t, latent, return_dict=False)[0]
    if not latent.isfinite().all():
        raise ValueError("the network's numbers ran out of range")
    return latent


def velocity(networks: Networks, condition: Condition, latent_BCNHW: Tensor, t: Tensor) -> Tensor:
    """The guided velocity, of all branches in one batch: (B, C, N, H, W) in float32. t in thousandths."""
    count, num_slots = latent_BCNHW.shape[0], latent_BCNHW.shape[2]
    branches, dtype = condition.branches, networks.transformer.dtype
    total = count * len(branches)
    more = {"control_hidden_states": condition.control_CNHW, "encoder_hidden_states_image": condition.picture_LD}
    answer = networks.transformer(
        hidden_states=torch.cat([_shown(condition, branch, latent_BCNHW) for branch in branches]).to(dtype),
        timestep=t.expand(total),
        encoder_hidden_states=torch.cat([_repeated(branch.text_LD, count) for branch in branches]).to(dtype),
        return_dict=False,
        **{name: _repeated(value, total).to(dtype) for name, value in more.items() if value is not None},
    )[0]
    parts = answer[:, :, :num_slots].float().chunk(len(branches))
    return torch.stack([branch.weight * part for branch, part in zip(branches, parts, strict=True)]).sum(0)


def _shown(condition: Condition, branch: Branch, latent_BCNHW: Tensor) -> Tensor:
    """The latents with what is joined to them."""
    count = len(latent_BCNHW)
    if condition.channels_CNHW is not None:
        latent_BCNHW = torch.cat([latent_BCNHW, _repeated(condition.channels_CNHW, count)], 1)
    if branch.slots_CNHW is not None:
        latent_BCNHW = torch.cat([latent_BCNHW, _repeated(branch.slots_CNHW, count)], 2)
    return latent_BCNHW


def _repeated(value: Tensor, count: int) -> Tensor:
    return value.expand(count, *value.shape)


def scheduler_of(sampling: Sampling, device: torch.device) -> FlowMatchEulerDiscreteScheduler | UniPCMultistepScheduler:
    """A solver with its times set. A new one a batch: it keeps count of its steps."""
    if sampling.solver == "euler":
        euler = FlowMatchEulerDiscreteScheduler()
        euler.set_timesteps(sigmas=list(schedule(sampling.steps, sampling.shift)[:-1]), device=device)
        return euler
    unipc = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=sampling.shift)
    if sampling.solver == "wan-unipc":
        unipc.set_timesteps(sigmas=np.linspace(WAN_START, 0, sampling.steps + 1)[:-1], device=device)
    else:
        unipc.set_timesteps(sampling.steps, device=device)
    return unipc
