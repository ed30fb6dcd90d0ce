/** The A/B player. `#a=<link>&b=<link>`, and `&face=x,y,w,h` in shares of the picture, say what it plays.
 *
 * `data-state` of <html> and the performance marks `likeness:load` and `likeness:playing` say how far it is.
 */

import { Duet } from "./duet.js";
import { hostDocument, listen } from "./keys.js";
import { showProgress } from "./progress.js";
import { Side } from "./side.js";
import { View } from "./view.js";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];
const SKIP_S = 0.5;
const MEDIA = "/likeness/media/";

const find = (id) => document.getElementById(id);
const root = document.documentElement;
const sides = [new Side(find("pane-a"), "A"), new Side(find("pane-b"), "B")];
const duet = new Duet(sides, show);
const view = new View(sides, showZoom, () => duet.toggle());
let isScrubbing = false;

function load() {
  const given = new URLSearchParams(location.hash.slice(1));
  performance.clearMarks("likeness:playing");
  performance.mark("likeness:load");
  root.dataset.state = "loading";
  view.face = faceIn(given.get("face"));
  setSpeed(1);
  view.reset();
  duet.load([local(given.get("a")), local(given.get("b"))]);
  showProgress(find("progress"));
}

/** `x,y,w,h` as a box; null if that is not what is given. */
function faceIn(text) {
  const [x, y, w, h] = (text ?? "").split(",").map(Number);
  return [x, y, w, h].every(Number.isFinite) && w > 0 && h > 0 ? { x, y, w, h } : null;
}

/** Only this server's media are fetched: the fragment is nobody's word. */
function local(link) {
  if (!link || !URL.canParse(link, location.href)) return null;
  const url = new URL(link, location.href);
  return url.origin === location.origin && url.pathname.startsWith(MEDIA) ? url.href : null;
}

function show(state) {
  if (root.dataset.state !== state) {
    root.dataset.state = state;
    const isFirst = state === "playing" && !performance.getEntriesByName("likeness:playing").length;
    if (isFirst) performance.mark("likeness:playing");
  }
  const broken = sides.filter((side) => side.isBroken).map((side) => side.name.toLowerCase()).join(" ");
  if (root.dataset.broken !== broken) root.dataset.broken = broken;
  for (const side of sides) {
    const isLate = !side.isBroken && duet.isHeld && !side.isReady(duet.speed) && !isScrubbing;
    side.pane.querySelector(".waiting").hidden = !isLate;
  }
  root.classList.toggle("is-wanted", duet.isWanted);
  showTime();
}

function showTime() {
  const { length, time, frameS } = duet;
  const line = find("line");
  if (Number(line.max) !== length && length) line.max = length;
  if (!isScrubbing) line.value = time;
  line.style.setProperty("--done", `${length ? (100 * time) / length : 0}%`);
  const num = Math.max(1, Math.round(length / frameS));
  const frame = Math.min(num, Math.floor(time / frameS + 0.01) + 1);
  const text = length ? `${time.toFixed(2)} / ${length.toFixed(2)} s · frame ${frame} / ${num}` : "";
  if (find("clock").textContent !== text) find("clock").textContent = text;
}

function showZoom() {
  find("zoom").textContent = `${Number(view.scale.toFixed(1))}×`;
  find("faces").setAttribute("aria-pressed", String(view.isOnFaces));
  root.classList.toggle("is-zoomed", view.scale > 1);
}

function setSpeed(speed) {
  duet.speed = speed;
  for (const button of find("speeds").children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === speed));
  }
}

function changeSpeed(by) {
  const index = SPEEDS.indexOf(duet.speed) + by;
  setSpeed(SPEEDS[Math.min(Math.max(index, 0), SPEEDS.length - 1)]);
}

function move(direction, isSkip) {
  if (isSkip) duet.seek(Math.min(Math.max(duet.time + direction * SKIP_S, 0), duet.length - duet.frameS / 2));
  else duet.step(direction);
}

/** None of these is a hotkey of Label Studio, or of the voting page. */
const ACTIONS = {
  " ": () => duet.toggle(),
  ArrowLeft: (event) => move(-1, event.shiftKey),
  ArrowRight: (event) => move(1, event.shiftKey),
  r: () => duet.seek(0),
  v: () => changeSpeed(-1),
  b: () => changeSpeed(1),
  f: () => view.toggleFaces(),
  "+": () => view.zoom(1),
  "=": () => view.zoom(1),
  "-": () => view.zoom(-1),
  0: () => view.reset(),
};

function use(event) {
  const action = ACTIONS[event.key?.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return false;
  const isOnce = event.key === " " || event.key === "f";
  if (event.type === "keydown" && !(event.repeat && isOnce)) action(event);
  return true;
}

function build() {
  for (const speed of SPEEDS) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: `${speed}×`, title: "Speed (v slower, b faster)" });
    button.dataset.speed = speed;
    button.addEventListener("click", () => setSpeed(speed));
    find("speeds").append(button);
  }
  const clicks = {
    play: () => duet.toggle(), back: () => duet.step(-1), forth: () => duet.step(1),
    in: () => view.zoom(1), out: () => view.zoom(-1), zoom: () => view.reset(), faces: () => view.toggleFaces(),
  };
  for (const [id, action] of Object.entries(clicks)) find(id).addEventListener("click", action);
}

function scrub() {
  let wasWanted = false;
  const line = find("line");
  line.addEventListener("input", () => {
    if (!isScrubbing) wasWanted = duet.isWanted;
    isScrubbing = true;
    duet.isWanted = false;
    duet.seek(Math.min(Number(line.value), duet.length - duet.frameS / 2));
  });
  line.addEventListener("change", () => {
    isScrubbing = false;
    duet.isWanted = wasWanted;
    line.blur();
  });
}

/** Light or dark as the page around it, which keeps the person's own choice. */
function followTheme() {
  const host = hostDocument()?.documentElement;
  if (!host) return;
  const follow = () => {
    root.dataset.theme = host.dataset.colorScheme ?? "";
    const ground = getComputedStyle(host.querySelector("body")).backgroundColor;
    root.style.setProperty("--ground", ground === "rgba(0, 0, 0, 0)" ? "" : ground);
  };
  follow();
  new MutationObserver(follow).observe(host, { attributes: true, attributeFilter: ["data-color-scheme"] });
}

build();
scrub();
followTheme();
listen(use);
window.addEventListener("hashchange", load);
load();
duet.run();
