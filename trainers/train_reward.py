"""Training of the reward model: the loop, top to bottom.

Bradley-Terry with ties on the snapshot's training pairs (Identity-GRPO 2.2), AdamW, cosine rate. Stopped at any moment
and started again, a run ends with the very weights of an uninterrupted one.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from trainers import checkpoint, preference, samplers
from trainers.checkpoint import RunCard
from trainers.config import RewardConfig
from trainers.errors import NotFinite
from trainers.eval_reward import evaluate, gaps, without_ties
from trainers.reward_models.image_consistency import ImageConsistency
from trainers.runlog import RunLog
from trainers.snapshot_pairs import read_pairs
from warehouse.errors import NothingToDo
from warehouse.snapshot import Snapshot

KIND = "reward_model"


def train_reward(snapshot: Snapshot, config: RewardConfig, *, folder: Path, progress: Callable[[str], None]) -> RunCard:
    """Train into `folder`, or go on where a stopped run left off; a finished run is not repeated."""
    settings = {"model": ImageConsistency.name, **asdict(config)}
    run_id = checkpoint.checkpoint_id(KIND, snapshot.id, settings)
    if card := checkpoint.finished_card(folder, run_id):
        progress(f"{run_id}: trained already")
        return card

    train, test = read_pairs(snapshot, "train"), read_pairs(snapshot, "test")
    if not len(train):
        raise NothingToDo(f"snapshot {snapshot.id}: no settled pair to train on; settle more, then freeze again")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = ImageConsistency.configured(settings)
        model.fit_scale(train.evidence)
        optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)

        step = 0
        if state := checkpoint.load_state(folder, run_id):
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["rng"])
            step = state["step"]
            progress(f"{run_id}: goes on at step {step} of {config.num_steps}")
        log = RunLog(folder, last_step=step)

        while step < config.num_steps:
            chosen = samplers.batch_at(step, num_items=len(train), batch_size=config.batch_pairs, seed=config.seed)
            sides = [side[pair] for side in (train.side_a, train.side_b) for pair in chosen]
            score_a_B, score_b_B = model.score([train.evidence[side] for side in sides]).chunk(2)
            loss = preference.loss(score_a_B, score_b_B, train.outcome_P[chosen], config.tie_logit)

            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_norm)
            if not (loss.isfinite() and grad_norm.isfinite()):
                raise NotFinite(
                    f"{run_id}: step {step}: loss {loss.item()}, gradient norm {grad_norm.item()}; lower learning_rate"
                )
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.num_steps))
            optimiser.step()
            step += 1

            if step % config.log_every == 0 or step == config.num_steps:
                model.eval()
                held_out = without_ties(gaps(model, test), test.outcome_P).nanmean().item()
                model.train()
                accuracy = None if math.isnan(held_out) else held_out
                log.append(step, {"loss": loss.item(), "grad_norm": grad_norm.item(), "accuracy": accuracy})
            if step % config.save_every == 0:
                checkpoint.save_state(
                    folder,
                    run_id,
                    {
                        "step": step,
                        "model": model.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "rng": torch.get_rng_state(),
                    },
                )
                progress(f"{run_id}: step {step} of {config.num_steps}, loss {loss.item():.3f}")

    model.eval()
    card = RunCard(
        checkpoint_id=run_id,
        kind=KIND,
        name=ImageConsistency.name,
        snapshot_id=snapshot.id,
        config=settings,
        seed=config.seed,
        versions=checkpoint.versions(),
        metrics=evaluate(model, train, test),
    )
    checkpoint.save(folder, model.state_dict(), card)
    return card
