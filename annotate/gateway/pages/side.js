/** One of the two videos: whether it can go on, what is wrong with it, and how long its frames are. */

const DEFAULT_FRAME_S = 1 / 24;
const NUM_GAPS = 120;
const AHEAD_S = 0.75; // this much must be there before a held pair goes on
const PATIENCE_S = 15; // without a byte, after which a video counts as broken

const HAVE_METADATA = 1, HAVE_FUTURE_DATA = 3, HAVE_ENOUGH_DATA = 4;

export class Side {
  #pending = null; // where to seek when the seek under way is done
  #gaps = [];
  #frame = null; // the frame last shown: {mediaTime, presentedFrames}
  #isParked = false; // sought beyond its end: it stays on its last frame
  #heardAt = 0; // when its last bytes came, in ms

  constructor(pane, name) {
    this.pane = pane;
    this.name = name;
    this.video = pane.querySelector("video");
    this.video.muted = true;
    this.problem = null;
    this.numShown = 0;
    this.frameS = DEFAULT_FRAME_S;
    this.video.addEventListener("seeked", () => this.#seekOn());
    this.video.addEventListener("error", () => this.#explain());
    for (const event of ["progress", "loadstart", "loadedmetadata"]) {
      this.video.addEventListener(event, () => (this.#heardAt = performance.now()));
    }
    pane.querySelector(".broken button").addEventListener("click", () => this.load(this.link));
    this.#watch();
  }

  /** Show another file, from its start. */
  load(link) {
    this.link = link;
    this.numShown = 0;
    this.frameS = DEFAULT_FRAME_S;
    this.#gaps = [];
    this.#pending = this.#frame = null;
    this.#isParked = false;
    this.#tell(null);
    if (link) {
      this.video.src = link;
      this.video.load();
    } else {
      this.video.removeAttribute("src");
      this.#tell(`There is no video ${this.name}.`);
    }
  }

  get isBroken() { return this.problem !== null; }
  get isKnown() { return this.video.readyState >= HAVE_METADATA; }
  get isSeeking() { return this.video.seeking || this.#pending !== null; }
  get isOver() { return this.video.ended || this.#isParked; }
  get length() { return Number.isFinite(this.video.duration) ? this.video.duration : 0; }
  get time() { return this.#pending ?? this.video.currentTime; }

  /** The time of the frame on the screen; where a browser does not tell it, the time played. */
  get shownTime() { return this.#frame ? this.#frame.mediaTime : this.video.currentTime; }

  /** Out of data in the middle. In the last moments a browser counts what is there as not enough. */
  get isStarved() {
    if (!this.isKnown) return true;
    const isNearEnd = this.time > this.length - 0.2;
    return !this.isOver && !isNearEnd && this.video.readyState < HAVE_FUTURE_DATA;
  }

  /** Whether enough is there to go on for a while. */
  isReady(speed) {
    if (!this.isKnown || this.isSeeking) return false;
    if (this.isOver || this.time > this.length - 0.2) return this.video.readyState > HAVE_METADATA;
    const wanted = Math.min(AHEAD_S * speed, this.length - this.time - 0.1);
    return this.video.readyState >= HAVE_ENOUGH_DATA
      || (this.video.readyState >= HAVE_FUTURE_DATA && this.#ahead() >= wanted);
  }

  /** Whether nothing has come for so long, `since` others wait for it (in ms), that nothing will. */
  isForsaken(since) { return performance.now() - Math.max(this.#heardAt, since) > PATIENCE_S * 1000; }

  giveUp() { this.#tell(`Video ${this.name} does not load any further.`); }

  seek(time) {
    const last = Math.max(0, this.length - this.frameS / 2);
    this.#isParked = time >= this.length;
    this.#pending = Math.min(Math.max(time, 0), last);
    if (!this.video.seeking) this.#seekOn();
  }

  #seekOn() {
    if (this.#pending === null) return;
    const time = this.#pending;
    this.#pending = null;
    if (Math.abs(this.video.currentTime - time) > 0.0005) this.video.currentTime = time;
  }

  #ahead() {
    const { buffered } = this.video;
    for (let index = 0; index < buffered.length; index += 1) {
      const isHere = buffered.start(index) <= this.time + 0.05 && this.time < buffered.end(index);
      if (isHere) return buffered.end(index) - this.time;
    }
    return 0;
  }

  /** Be told of every frame that reaches the screen, for ever. */
  #watch() {
    if (!this.video.requestVideoFrameCallback) {
      this.video.addEventListener("loadeddata", () => (this.numShown += 1));
      return;
    }
    const shown = (_now, frame) => {
      this.#measure(frame);
      this.#frame = frame;
      this.numShown += 1;
      this.video.requestVideoFrameCallback(shown);
    };
    this.video.requestVideoFrameCallback(shown);
  }

  /** A frame's length is the mean of the short gaps: the long ones are frames that this screen left out. */
  #measure(frame) {
    const gap = this.#frame ? frame.mediaTime - this.#frame.mediaTime : 0;
    if (gap < 0.002 || gap > 0.5 || this.isSeeking) return;
    this.#gaps = [...this.#gaps.slice(1 - NUM_GAPS), gap];
    const sorted = [...this.#gaps].sort((one, other) => one - other);
    const short = sorted[Math.floor(sorted.length / 10)];
    const single = sorted.filter((each) => each < 1.5 * short);
    this.frameS = single.reduce((sum, each) => sum + each, 0) / single.length;
  }

  /** Why the file cannot be played: a browser says no more than that it cannot, so ask the server. */
  async #explain() {
    if (!this.video.getAttribute("src")) return;
    const link = this.link;
    this.#tell(`Video ${this.name} cannot be played.`);
    const why = await reason(link);
    if (link === this.link && this.isBroken) this.#tell(`Video ${this.name} cannot be played: ${why}.`);
  }

  #tell(problem) {
    this.problem = problem;
    const box = this.pane.querySelector(".broken");
    box.hidden = problem === null;
    box.querySelector("p").textContent = problem ?? "";
    this.pane.classList.toggle("is-broken", problem !== null);
  }
}

async function reason(link) {
  try {
    const answer = await fetch(link, { headers: { Range: "bytes=0-0" } });
    answer.body?.cancel();
    if (answer.ok) return "the file is damaged, or of a kind that this browser does not know";
    if (answer.status === 401) return "you are logged out; log in again";
    if (answer.status === 403) return "its link has ended; load the page again";
    return `the server has no such file (${answer.status})`;
  } catch {
    return "the server does not answer";
  }
}
