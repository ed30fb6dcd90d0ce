/** The part of the picture that both sides show: zoomed and moved together, in shares of the picture. */

const MOST = 8;
const STEP = 1.25;
const CLICK_PX = 5; // a pointer that moved less was not dragged
const AROUND = 1.8; // how much wider than a face the part around it is
const NO_FACE_KNOWN = { x: 0.375, y: 0.12, w: 0.25, h: 0.25 };

export class View {
  scale = 1;
  #x = 0.5; // the point of the picture that stands in the middle of the pane
  #y = 0.5;
  #isOnFaces = false;

  /** `clicked` is called for a click that was no drag. */
  constructor(sides, changed, clicked) {
    this.sides = sides;
    this.changed = changed;
    this.clicked = clicked;
    this.face = null;
    for (const side of sides) {
      side.video.addEventListener("loadedmetadata", () => this.draw());
      side.video.addEventListener("resize", () => this.draw());
      this.#listen(side);
    }
    new ResizeObserver(() => this.draw()).observe(sides[0].pane);
  }

  get isOnFaces() { return this.#isOnFaces; }

  reset() { this.#look(1, 0.5, 0.5); }

  zoom(direction) { this.#look(this.scale * STEP ** direction, this.#x, this.#y); }

  /** To the face and back. */
  toggleFaces() {
    if (this.#isOnFaces) return this.reset();
    const { x, y, w, h } = this.face ?? NO_FACE_KNOWN;
    const box = shape(this.sides.find((side) => side.video.videoWidth) ?? this.sides[0]);
    const scale = Math.min(box.paneWidth / (w * box.width), box.paneHeight / (h * box.height)) / AROUND;
    this.#look(Math.max(scale, 1.5), x + w / 2, y + h / 2);
    this.#isOnFaces = true;
    this.changed();
    return undefined;
  }

  draw() {
    const ratios = this.sides.map(({ video }) => video.videoWidth / video.videoHeight || 16 / 9);
    const { style } = this.sides[0].pane.parentElement;
    const ratio = Math.max(0.8, ...ratios).toFixed(4);
    if (style.getPropertyValue("--ratio") !== ratio) style.setProperty("--ratio", ratio);
    for (const side of this.sides) {
      const box = shape(side);
      const left = placed(box.paneWidth, box.width * this.scale, this.#x);
      const top = placed(box.paneHeight, box.height * this.scale, this.#y);
      const stage = side.video.parentElement.style;
      stage.width = `${box.width}px`;
      stage.height = `${box.height}px`;
      stage.transform = `translate(${left}px, ${top}px) scale(${this.scale})`;
    }
  }

  #look(scale, x, y) {
    this.scale = Math.min(Math.max(scale, 1), MOST);
    if (this.scale < 1.01) this.scale = 1;
    [this.#x, this.#y] = [x, y].map((share) => Math.min(Math.max(share, 0), 1));
    this.#keepInside();
    this.#isOnFaces = false;
    this.draw();
    this.changed();
  }

  /** The middle goes no further than the picture's edge can follow, or dragging back would seem dead at first. */
  #keepInside() {
    const box = shape(this.sides.find((side) => side.video.videoWidth) ?? this.sides[0]);
    const kept = (share, pane, whole) => {
      const half = Math.min(0.5, pane / 2 / (whole * this.scale));
      return Math.min(Math.max(share, half), 1 - half);
    };
    this.#x = kept(this.#x, box.paneWidth, box.width);
    this.#y = kept(this.#y, box.paneHeight, box.height);
  }

  #listen(side) {
    const { pane } = side;
    let from = null;
    pane.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoomAt(side, event, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)));
    }, { passive: false });
    pane.addEventListener("dblclick", () => this.reset());
    pane.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest("button")) return;
      from = { x: event.clientX, y: event.clientY, atX: this.#x, atY: this.#y };
      pane.setPointerCapture(event.pointerId);
    });
    pane.addEventListener("pointermove", (event) => {
      if (!from || this.scale === 1) return;
      const box = shape(side);
      const x = from.atX - (event.clientX - from.x) / (box.width * this.scale);
      const y = from.atY - (event.clientY - from.y) / (box.height * this.scale);
      this.#look(this.scale, x, y);
    });
    pane.addEventListener("pointerup", (event) => {
      if (from && Math.hypot(event.clientX - from.x, event.clientY - from.y) < CLICK_PX) this.clicked();
      from = null;
    });
    pane.addEventListener("pointercancel", () => (from = null));
  }

  /** What lies under the pointer stays there. */
  #zoomAt(side, event, factor) {
    const box = shape(side);
    const bounds = side.pane.getBoundingClientRect();
    const offX = (event.clientX - bounds.left - box.paneWidth / 2) / box.width;
    const offY = (event.clientY - bounds.top - box.paneHeight / 2) / box.height;
    const next = Math.min(Math.max(this.scale * factor, 1), MOST);
    const gain = 1 / this.scale - 1 / next;
    this.#look(next, this.#x + offX * gain, this.#y + offY * gain);
  }
}

/** A pane's size, and that of the whole picture fitted into it, in px. */
function shape({ pane, video }) {
  const { clientWidth: paneWidth, clientHeight: paneHeight } = pane;
  const ratio = video.videoWidth / video.videoHeight || 16 / 9;
  const width = Math.min(paneWidth, paneHeight * ratio);
  return { paneWidth, paneHeight, width, height: width / ratio };
}

/** Where a length begins so that its `share` stands in the middle, without a gap at either end if it is long enough. */
function placed(pane, whole, share) {
  if (whole <= pane) return (pane - whole) / 2;
  return Math.min(0, Math.max(pane - whole, pane / 2 - whole * share));
}
