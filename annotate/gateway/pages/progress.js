/** How far the person is: told by the server, asked for once a pair. */

export async function showProgress(output) {
  try {
    const answer = await fetch("/likeness/progress", { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { num_done: done, num_open: open } = await answer.json();
    if (Number.isFinite(done) && Number.isFinite(open)) output.textContent = `${done} done · ${open} to go`;
  } catch {
    // a pair can be voted on without it
  }
}
