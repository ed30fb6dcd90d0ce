/** Keys go both ways: those of the player from the page around it, all others from the player to that page.
 *
 * Without the second, a vote typed after a click into a video would be lost.
 */

const COPIED = ["key", "code", "location", "ctrlKey", "shiftKey", "altKey", "metaKey", "repeat", "keyCode", "which"];

/** `use` gets an event and says whether the player takes its key. */
export function listen(use) {
  const ended = new AbortController();
  const { signal } = ended;
  const host = hostDocument();
  for (const type of ["keydown", "keyup"]) {
    window.addEventListener(type, (event) => {
      if (take(event, use) || !host) return;
      if (!forward(event, host)) event.preventDefault();
    }, { signal });
    host?.addEventListener(type, (event) => {
      if (!window.frameElement?.isConnected) ended.abort();
      else if (isTyping(event.target)) submitFrom(event, host);
      else if (take(event, use)) event.stopImmediatePropagation();
    }, { signal, capture: true });
  }
  window.addEventListener("pagehide", () => ended.abort(), { signal });
}

/** The page around the player, where there is one of the same origin. */
export function hostDocument() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
}

function take(event, use) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return false;
  const isTaken = use(event);
  if (isTaken) event.preventDefault(); // on keyup too: there a space presses the button that has the focus
  return isTaken;
}

/** False if the page took the key. It goes to the body: Label Studio asks at which element a key arrives. */
function forward(event, host) {
  const view = host.defaultView;
  const copy = Object.fromEntries(COPIED.map((name) => [name, event[name]]));
  return host.body.dispatchEvent(new view.KeyboardEvent(event.type, { ...copy, bubbles: true, cancelable: true }));
}

/** In a field Label Studio does not take Ctrl+Enter: leave the field, which keeps what was typed, and press it there. */
function submitFrom(event, host) {
  const isSubmit = event.type === "keydown" && event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!isSubmit || event.isComposing) return;
  event.preventDefault();
  event.target.blur();
  host.defaultView.setTimeout(() => forward(event, host), 50); // the page has drawn what was typed
}

function isTyping(element) {
  if (element?.isContentEditable) return true;
  if (element?.tagName === "INPUT") return !["radio", "checkbox", "button", "range"].includes(element.type);
  return ["TEXTAREA", "SELECT"].includes(element?.tagName);
}
