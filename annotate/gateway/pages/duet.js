/** Two videos played as one: they start, hold, seek and loop together. */

const CALM_S = 0.008; // a drift that is left alone
const JUMP_S = 0.3; // a drift that is sought away, not played away

export class Duet {
  #isHeld = true; // until both can go on
  #heldAt = 0; // since when, in ms
  #tickedAt = 0;

  /** `changed` is called with the state, at each tick. */
  constructor(sides, changed) {
    this.sides = sides;
    this.changed = changed;
    this.isWanted = true;
    this.speed = 1;
    for (const { video } of sides) video.addEventListener("waiting", () => this.tick());
  }

  /** Look after both, for ever. */
  run() {
    this.tick();
    requestAnimationFrame(() => this.run());
  }

  load(links) {
    this.isWanted = true;
    this.#hold();
    this.sides.forEach((side, index) => side.load(links[index]));
  }

  get alive() { return this.sides.filter((side) => !side.isBroken); }
  get length() { return Math.max(0, ...this.alive.map((side) => side.length)); }
  get time() { return Math.max(0, ...this.alive.map((side) => Math.min(side.time, side.length))); }

  /** The finer of the two frame lengths. */
  get frameS() { return Math.min(1, ...this.alive.map((side) => side.frameS)); }

  /** `loading`, `held`, `playing`, `paused` or `broken` (neither can be played). */
  get state() {
    const { alive } = this;
    if (!alive.length) return "broken";
    if (alive.some((side) => !side.isKnown || !side.numShown)) return "loading";
    if (!this.isWanted) return "paused";
    return this.#isHeld ? "held" : "playing";
  }

  get isHeld() { return this.#isHeld; }

  toggle() {
    this.isWanted = !this.isWanted;
    if (this.isWanted && this.alive.every((side) => side.isOver)) this.seek(0);
  }

  /** Both to a time; each no further than its own last frame. */
  seek(time) {
    this.#hold();
    for (const side of this.alive) {
      side.video.pause();
      side.seek(time);
    }
  }

  /** One frame of the finer video, on (1) or back (-1). */
  step(direction) {
    this.isWanted = false;
    const finer = this.#leader();
    if (!finer) return;
    const middle = finer.isSeeking ? finer.time : finer.shownTime + finer.frameS / 2;
    const last = this.length - this.frameS / 2;
    this.seek(Math.min(Math.max(middle + direction * finer.frameS, 0), last));
  }

  /** Let what is be what should be. */
  tick() {
    const { alive } = this;
    const now = performance.now();
    if (now - this.#tickedAt > 1000) this.#heldAt = now; // the page slept
    this.#tickedAt = now;
    if (alive.some((side) => side.isStarved) && !this.#isHeld) this.#hold();
    if (this.#isHeld) this.#tryToGoOn(alive);
    if (this.isWanted && !this.#isHeld && alive.length && alive.every((side) => side.isOver)) this.seek(0);
    const rates = this.#rates(alive);
    alive.forEach((side, index) => {
      this.#run(side, this.isWanted && !this.#isHeld && !side.isOver);
      if (side.video.playbackRate !== rates[index]) side.video.playbackRate = rates[index];
    });
    this.changed(this.state);
  }

  #hold() {
    this.#isHeld = true;
    this.#heldAt = performance.now();
  }

  #tryToGoOn(alive) {
    const late = alive.filter((side) => !side.isReady(this.speed));
    for (const side of late) if (side.isForsaken(this.#heldAt)) side.giveUp();
    if (late.length) return;
    const running = alive.filter((side) => !side.isOver);
    const times = running.map((side) => side.time);
    if (Math.max(...times) - Math.min(...times) > 2 * CALM_S && this.isWanted) this.seek(Math.min(...times));
    else this.#isHeld = false;
  }

  #run(side, shouldRun) {
    const { video } = side;
    if (shouldRun && video.paused) {
      video.play().catch((error) => {
        if (error.name === "NotAllowedError") this.isWanted = false; // the person must press play once
      });
    } else if (!shouldRun && !video.paused) {
      video.pause();
    }
  }

  /** Who is ahead plays a little slower, who is behind a little faster; by twentieths, for each change costs. */
  #rates(alive) {
    const even = alive.map(() => this.speed);
    if (alive.length < 2 || this.#isHeld || alive.some((side) => side.isOver || side.video.paused)) return even;
    const lead = alive[0].time - alive[1].time;
    if (Math.abs(lead) > JUMP_S) {
      this.seek(Math.min(...alive.map((side) => side.time)));
      return even;
    }
    if (Math.abs(lead) < CALM_S) return even;
    const push = Math.sign(lead) * Math.min(0.3, Math.ceil(Math.abs(lead) / this.speed / 0.02) * 0.05);
    return [this.speed * (1 - push), this.speed * (1 + push)];
  }

  /** The finer of those that are not waiting on their last frame. */
  #leader() {
    const moving = this.alive.filter((side) => !side.isOver);
    const among = moving.length ? moving : this.alive.filter((side) => side.length === this.length);
    return among.reduce((best, side) => (best && best.frameS <= side.frameS ? best : side), null);
  }
}
