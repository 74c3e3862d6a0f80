// A command that fails holds the queue: the banner says so on every page, and has both ways out.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api, closeBrowser, command, expectAccessible, makeStack, openPage, removeStack, unique } from "./browser.mjs";

const name = unique("broken");

after(async () => {
  const queue = await api("GET", "/queue");
  if (queue.held) await api("POST", `/commands/${queue.head.seq}/cancel`, {});
  await removeStack(name);
  await closeBrowser();
});

test("the banner names the command, its error and who asked, and cancelling lets the queue go on", async (t) => {
  await makeStack(name, { "compose.yaml": "services:\n  web:\n    image: registry.invalid/nothing:1\n" });
  const page = await openPage(t, { path: "/" });
  const failed = await command(`/stacks/${name}/apply/1`);
  assert.equal(failed.status, "FAILED");
  const banner = page.getByRole("alert").filter({ hasText: "The queue is held" });
  await banner.getByRole("link", { name: `apply ${name} v1` }).waitFor();
  assert.ok((await banner.innerText()).includes(failed.error.message));
  await expectAccessible(page, "a held queue");
  await page.goto("/queue");
  await banner.waitFor();
  await banner.getByRole("link", { name: "Show what happened" }).click();
  await page.getByText("It failed, and holds the queue.").waitFor();
  await expectAccessible(page, "a failed command");
  await banner.getByRole("button", { name: "Retry" }).click();
  await page.getByText("attempt", { exact: false }).first().waitFor();
  const again = await api("GET", `/commands/${failed.seq}?wait=60s`);
  assert.deepEqual([again.status, again.attempt], ["FAILED", 2]);
  await banner.getByRole("button", { name: "Cancel it, go on" }).click();
  await banner.waitFor({ state: "detached" });
  assert.equal((await api("GET", `/commands/${failed.seq}`)).status, "CANCELLED");
});

test("what was saved by somebody else is told before it is overwritten", async (t) => {
  const shared = unique("shared");
  t.after(() => removeStack(shared));
  await makeStack(shared, { "compose.yaml": "services:\n  web:\n    image: a\n" });
  const page = await openPage(t, { path: `/stacks/${shared}/definition` });
  await page.getByRole("textbox", { name: "Text of compose.yaml" }).click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.insertText("# mine\n");
  await page.getByText("1 change not saved").waitFor();
  const theirs = await command(`/stacks/${shared}/versions`, { bundle: { files: { "compose.yaml": "services:\n  web:\n    image: a\n", "notes.txt": "theirs\n" } }, comment: "Notes" });
  assert.equal(theirs.status, "DONE");
  const told = page.getByRole("region", { name: "Saved by somebody else" });
  await told.waitFor();
  await told.getByRole("button", { name: "Put my changes over it" }).click();
  await page.getByRole("button", { name: /^notes\.txt/ }).waitFor();
  await page.getByText("1 change not saved").waitFor();
});
