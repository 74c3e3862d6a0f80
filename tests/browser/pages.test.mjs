// Every page, wide and narrow, light and dark: nothing that axe finds, nothing wider than the window; and the keys.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { closeBrowser, expectAccessible, makeStack, openPage, removeStack, unique } from "./browser.mjs";

const name = unique("looked-at");
const pages = ["/", "/stacks", "/stacks/new", `/stacks/${name}`, `/stacks/${name}/definition`, `/stacks/${name}/versions`, `/stacks/${name}/history`, "/machines", "/machines/new", "/boxes", "/queue", "/help", "/nowhere"];

/// More files than a telephone is wide.
const deep = Object.fromEntries(["one", "two", "three", "four"].map((word) => [`configuration/of/the/${word}.conf`, "x\n"]));

before(async () => {
  await makeStack(name, { "compose.yaml": "services:\n  web:\n    image: web\n    depends_on: [db]\n  db:\n    image: db\n", "run.sh": "#!/bin/sh\n", ...deep });
});
after(async () => {
  await removeStack(name);
  await closeBrowser();
});

for (const [word, look] of Object.entries({ "wide and light": {}, "wide and dark": { dark: true }, "narrow and light": { width: 390, height: 844 }, "narrow and dark": { width: 390, height: 844, dark: true } })) {
  test(`every page is accessible, ${word}`, async (t) => {
    const page = await openPage(t, look);
    for (const path of pages) {
      await page.goto(path);
      await page.getByRole("heading", { level: 1 }).waitFor();
      const loading = page.getByRole("status", { name: "Loading" }).first();
      await loading.waitFor({ state: "detached" }).catch(() => assert.fail(`${path} does not come to an end of loading`));
      await expectAccessible(page, `${path}, ${word}`);
    }
  });
}

test("everything is found from one field, by keyboard alone", async (t) => {
  const page = await openPage(t);
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Find" });
  await field.waitFor();
  await expectAccessible(page, "the search");
  await page.keyboard.type(`logs of ${name}`);
  await page.getByRole("option", { name: `Logs of ${name}` }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/logs$/);
});

test("the focus goes to the page's title, and its name is said", async (t) => {
  const page = await openPage(t);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Queue/ }).click();
  await page.waitForFunction(() => document.activeElement?.id === "page-title");
  assert.equal(await page.title(), "Queue · Orrery");
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.getByRole("heading", { level: 1, name: "Stacks" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "Queue" }).waitFor();
});

test("files can be added, renamed and deleted on the bench", async (t) => {
  const page = await openPage(t, { path: `/stacks/${name}/definition` });
  await page.getByRole("button", { name: "New file" }).click();
  await page.getByLabel("Path within the bundle").fill("../outside");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("the path leaves the bundle").waitFor();
  await page.getByLabel("Path within the bundle").fill("conf/app.conf");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("button", { name: /^conf\/app\.conf.*added/ }).waitFor();
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByLabel("Path within the bundle").fill("conf/web.conf");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await page.getByRole("button", { name: /^conf\/web\.conf.*added/ }).waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: /^conf\/web\.conf/ }).waitFor({ state: "detached" });
  await page.getByText("As saved in v1").waitFor();
});

for (const [word, width] of Object.entries({ wide: 1440, narrow: 390 })) {
  test(`every dialog has its title and its way out in one line, from edge to edge, ${word}`, async (t) => {
    const page = await openPage(t, { path: `/stacks/${name}`, width });
    const looksRight = async (title) => {
      const dialog = page.getByRole("dialog", { name: title });
      const [whole, heading, close] = await Promise.all([dialog, dialog.getByRole("heading", { name: title }), dialog.getByRole("button", { name: "Close" })].map((part) => part.boundingBox()));
      const gap = whole.x + whole.width - (close.x + close.width);
      assert.ok(gap > 0 && gap < 20, `the way out of "${title}" ends ${gap} px before the edge`);
      assert.ok(heading.height < 60 && close.y >= heading.y - 8 && close.y + close.height <= heading.y + heading.height + 8, `"${title}" and its way out stand in one line`);
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
    };
    await page.getByLabel(`More for ${name}`).click();
    await page.getByRole("button", { name: "Delete…" }).click();
    await looksRight(`Delete ${name}?`);
    await page.getByLabel(/^Account of/).click();
    await page.getByRole("button", { name: "Change password" }).click();
    await looksRight("Change your password");
    await page.goto(`/stacks/${name}/definition`);
    await page.getByRole("button", { name: "New file" }).click();
    await looksRight("New file");
    await page.getByRole("textbox", { name: "Text of compose.yaml" }).click();
    await page.keyboard.press("Control+Home");
    await page.keyboard.insertText("# mine\n");
    await page.getByRole("button", { name: "What would happen?" }).click();
    await looksRight("What an apply of these files would do");
    await page.getByRole("button", { name: "Discard" }).click();
  });
}

test("a port that a program of the host holds is named before the apply", async (t) => {
  const taken = unique("taken");
  const holder = createServer().listen(0, "0.0.0.0");
  await once(holder, "listening");
  const { port } = holder.address();
  try {
    await makeStack(taken, { "compose.yaml": `services:\n  web:\n    image: web\n    ports: ["${port}:80"]\n` });
    const page = await openPage(t, { path: `/stacks/${taken}/plan/1` });
    await page.getByText(new RegExp(`port ${port}/tcp of service web is held by .*process ${process.pid}`)).waitFor();
  } finally {
    holder.close();
    await removeStack(taken);
  }
});

test("a chosen theme is kept", async (t) => {
  const page = await openPage(t);
  await page.getByLabel(/^Account of/).click();
  await page.getByRole("radio", { name: "Dark" }).click();
  await page.reload();
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});
