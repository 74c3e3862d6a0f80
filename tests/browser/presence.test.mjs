// Whether somebody is there: what an open page asks by itself keeps a session alive only as long as somebody uses the page.
// The page's own clock is stopped and turned on by hand, so that a minute takes no minute.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, openPage } from "./browser.mjs";

after(closeBrowser);

const SECOND = 1000;

/// Lets so many seconds pass for the page; answers whether what it asks next by itself says that nobody is there.
async function nobodyIsThere(page, seconds) {
  await page.clock.fastForward(seconds * SECOND);
  const [asked] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith("/api/v1/queue")),
    // Long enough for the next look at the queue, and short of the minute together with what has passed.
    page.clock.runFor(6 * SECOND),
  ]);
  return (await asked.allHeaders())["x-orrery-background"] === "1";
}

const touches = {
  "a key": (page) => page.keyboard.press("Shift"),
  "a moved pointer": (page) => page.mouse.move(1300, 500),
  "a pressed pointer": async (page) => {
    await page.mouse.down();
    await page.mouse.up();
  },
};

test("what a page asks by itself says so after a minute without a touch, and no longer after one", async (t) => {
  const page = await openPage(t, { path: "/help" });
  await page.clock.install();
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
  await page.getByRole("banner").getByRole("status").getByText("live", { exact: true }).waitFor({ state: "attached" });
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 10_000));
  for (const [what, touch] of Object.entries(touches)) {
    await touch(page);
    assert.equal(await nobodyIsThere(page, 1), false, `${what} shows that somebody is there`);
    assert.equal(await nobodyIsThere(page, 40), false, `somebody is there for a minute after ${what}`);
    assert.equal(await nobodyIsThere(page, 20), true, `nobody is there a minute after ${what}`);
  }
});
