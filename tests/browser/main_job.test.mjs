// The main job, by hand: from an example to running containers, to a second version, and back again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, closeBrowser, editorText, expectAccessible, freePort, openPage, removeStack, unique, writeInEditor } from "./browser.mjs";

const name = unique("site");
let port;

before(async () => {
  port = await freePort();
});
after(async () => {
  await removeStack(name);
  await closeBrowser();
});

async function answer() {
  const text = await fetch(`http://127.0.0.1:${port}/`).then((found) => found.text(), () => "");
  return text;
}

async function until(what, holds) {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/// Waits until the command on the plan's tab has ended well; a failure is told with its words.
async function ended(page) {
  const done = page.getByRole("main").locator(".st.ok", { hasText: "done" }).first();
  const failed = page.getByText("It failed, and holds the queue.");
  await page.getByRole("link", { name: "See what runs" }).or(failed).first().waitFor({ timeout: 240_000 });
  if (await failed.count()) assert.fail(await page.getByRole("main").innerText());
  await done.waitFor();
}

test("an example becomes a running stack, gets a second version, and is rolled back", async (t) => {
  const page = await openPage(t, { path: "/stacks/new", expected: [] });

  await t.test("the example is opened, and its port is changed in a file of the bundle", async () => {
    await page.getByRole("button", { name: /A static site behind a reverse proxy/ }).click();
    await page.getByRole("button", { name: /^\.env/ }).click();
    await page.getByRole("textbox", { name: "Text of .env" }).waitFor();
    await writeInEditor(page, `PORT=${port}\n`);
    await page.getByLabel("Name of the stack").fill(name);
    await expectAccessible(page, "the new stack");
  });

  await t.test("an error is told while one types, with its place and what to do", async () => {
    await page.getByRole("button", { name: /^compose\.yaml/ }).click();
    await page.getByRole("textbox", { name: "Text of compose.yaml" }).waitFor();
    const right = await editorText(page);
    await writeInEditor(page, right.replace("services:", "servces:"));
    await page.getByRole("list", { name: "Problems" }).getByText(/servces/).first().waitFor();
    await writeInEditor(page, "services:\n  web:\n    image: a\n    ports: ['99999:80']\n");
    await page.getByRole("list", { name: "Problems" }).getByText('"99999" is no port of the host').waitFor();
    await writeInEditor(page, right);
    await page.getByRole("list", { name: "Problems" }).getByText(/servces/).first().waitFor({ state: "detached" });
  });

  await t.test("the draft survives a reload", async () => {
    await page.reload();
    await page.getByLabel("Name of the stack").waitFor();
    assert.equal(await page.getByLabel("Name of the stack").inputValue(), name);
    await page.getByRole("button", { name: /^\.env/ }).click();
    await page.getByText(`PORT=${port}`).waitFor();
  });

  await t.test("it is created, planned and applied, and the steps are seen", async () => {
    await page.getByRole("button", { name: "Create, then see the plan" }).click();
    await page.getByRole("heading", { level: 2, name: "Plan for v1" }).waitFor();
    await page.getByRole("main").getByText("proxy").first().waitFor();
    await expectAccessible(page, "the plan");
    await page.getByRole("button", { name: "Apply v1" }).click();
    await page.getByRole("heading", { level: 2, name: /Plan and steps/ }).waitFor();
    await ended(page);
    await expectAccessible(page, "the command that has ended");
  });

  await t.test("its services run, and the port is a link that answers", async () => {
    await page.getByRole("link", { name: "See what runs" }).click();
    const link = page.getByRole("link", { name: new RegExp(String(port)) });
    await link.first().waitFor();
    assert.equal(await link.first().getAttribute("href"), `http://${new URL(page.url()).hostname}:${port}/`);
    await until("the site answers", async () => (await answer()).length > 0);
    await expectAccessible(page, "the overview");
  });

  await t.test("a second version is written, compared and applied", async () => {
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByRole("button", { name: /^site\/index\.html/ }).click();
    await page.getByRole("textbox", { name: "Text of site/index.html" }).waitFor();
    await writeInEditor(page, "<!doctype html><title>second</title><p>the second version\n");
    await page.getByText("1 change not saved").waitFor();
    await page.getByRole("button", { name: "Changes" }).click();
    await page.getByRole("region", { name: "Differences in site/index.html" }).getByText("the second version").waitFor();
    await expectAccessible(page, "the definition");
    await page.getByLabel("Note about this version").fill("Another front page");
    await page.getByRole("button", { name: "Save, then see the plan" }).click();
    await page.getByRole("heading", { level: 2, name: "Plan for v2" }).waitFor();
    await page.getByRole("button", { name: "Apply v2" }).click();
    await ended(page);
    await until("the second version answers", async () => (await answer()).includes("the second version"));
    await page.getByRole("navigation", { name: "Parts of this stack" }).getByRole("link", { name: "Versions" }).click();
    await page.getByRole("region", { name: "site/index.html" }).or(page.getByText("site/index.html").first()).first().waitFor();
    await expectAccessible(page, "the versions");
  });

  await t.test("the first version comes back", async () => {
    await page.getByRole("link", { name: "roll back" }).first().click();
    await page.getByRole("button", { name: "Roll back to v1" }).click();
    await ended(page);
    await until("the first version answers", async () => {
      const text = await answer();
      return text.length > 0 && !text.includes("the second version");
    });
  });

  await t.test("its logs are read as they are written", async () => {
    await page.getByRole("navigation", { name: "Parts of this stack" }).getByRole("link", { name: "Logs" }).click();
    await answer();
    await page.getByRole("log").locator(".l").first().waitFor();
    await expectAccessible(page, "the logs");
  });

  await t.test("it is stopped and started", async () => {
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("main").locator(".head .st", { hasText: "stopped" }).waitFor();
    await until("nothing answers any more", async () => (await answer()) === "");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("main").locator(".head .st", { hasText: "running" }).waitFor();
    await until("it answers again", async () => (await answer()) !== "");
  });

  await t.test("what happened is in its history", async () => {
    await page.getByRole("navigation", { name: "Parts of this stack" }).getByRole("link", { name: "History" }).click();
    for (const deed of ["create", "apply", "save", "roll back", "stop", "start"]) {
      await page.getByRole("main").getByRole("link", { name: new RegExp(`^${deed} ${name}`) }).first().waitFor();
    }
    await expectAccessible(page, "the history");
  });

  await t.test("it can be downloaded and copied", async () => {
    const download = page.waitForEvent("download");
    await page.getByLabel(`More for ${name}`).click();
    await page.getByRole("button", { name: "Download as an archive" }).click();
    assert.match((await download).suggestedFilename(), new RegExp(`^${name}-v\\d+\\.tar$`));
    await page.getByLabel(`More for ${name}`).click();
    await page.getByRole("button", { name: "Copy as a new stack" }).click();
    await page.getByRole("heading", { level: 1, name: "New stack" }).waitFor();
    assert.equal(await page.getByLabel("Name of the stack").inputValue(), `${name}-copy`);
    await page.getByRole("button", { name: "Start over" }).click();
    await page.goBack();
  });

  await t.test("deleting says what goes, and wants the name", async () => {
    await page.getByLabel(`More for ${name}`).click();
    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${name}?` });
    await dialog.getByText(`${name}-proxy-1`).waitFor();
    const button = dialog.getByRole("button", { name: "Delete it" });
    assert.ok(await button.isDisabled());
    await expectAccessible(page, "the question before a delete");
    await dialog.getByLabel(/Write its name/).fill(name);
    await button.click();
    await page.getByRole("main").locator(".head .st", { hasText: "done" }).waitFor({ timeout: 60_000 });
    const { items } = await api("GET", "/stacks?limit=500");
    assert.ok(!items.some((stack) => stack.name === name));
  });
});
