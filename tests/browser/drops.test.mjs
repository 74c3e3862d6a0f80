// Files that are dropped: a folder with folders in it, and archives, which the api unpacks.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { closeBrowser, expectAccessible, makeStack, openPage, removeStack, unique } from "./browser.mjs";
import { until } from "./installation.mjs";

const COMPOSE = "services:\n  web:\n    image: web\n    volumes:\n      - ./conf/web.conf:/etc/web.conf:ro\n";
const stack = unique("dropped-on");
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "orrery-drops-"));
  mkdirSync(join(folder, "shop/conf"), { recursive: true });
  writeFileSync(join(folder, "shop/compose.yaml"), COMPOSE);
  writeFileSync(join(folder, "shop/conf/web.conf"), "listen 80\n");
  execFileSync("tar", ["-cf", "shop.tar", "-C", "shop", "."], { cwd: folder });
  execFileSync("tar", ["-czf", "shop.tar.gz", "-C", "shop", "."], { cwd: folder });
  execFileSync("python3", ["-m", "zipfile", "-c", "../shop.zip", "compose.yaml", "conf"], { cwd: join(folder, "shop") });
  await makeStack(stack, { "compose.yaml": "services:\n  web:\n    image: before\n" });
});
after(async () => {
  rmSync(folder, { recursive: true });
  await removeStack(stack);
  await closeBrowser();
});

/// Where files are dropped on the page for a new stack, once the examples above have found their place.
async function dropZone(page) {
  await page.getByRole("button", { name: /A static site behind a reverse proxy/ }).waitFor();
  return page.locator(".drop");
}

/// Drops what lies at `path` onto the element, as the browser does with what a person drags there.
async function drop(page, target, path) {
  const box = await target.boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + Math.min(box.height / 2, 120)];
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  const send = (type) => session.send("Input.dispatchDragEvent", { type, x, y, data });
  // The browser lets go only over what has said that it takes files: it is held there until it has.
  await send("dragEnter");
  await until("the page takes what is dragged over it", async () => {
    await send("dragOver");
    return (await page.locator(".over").count()) > 0;
  });
  await send("drop");
  await session.detach();
}

test("a folder that is dropped becomes the files of a new stack", async (t) => {
  const page = await openPage(t, { path: "/stacks/new" });
  await drop(page, await dropZone(page), join(folder, "shop"));
  await page.getByRole("button", { name: /^compose\.yaml/ }).waitFor();
  await page.getByRole("button", { name: /^conf\/web\.conf/ }).waitFor();
  await page.getByText("image: web").waitFor();
  await expectAccessible(page, "a new stack from a folder");
  await page.getByRole("button", { name: "Start over" }).click();
});

for (const archive of ["shop.tar", "shop.tar.gz", "shop.zip"]) {
  test(`${archive} is unpacked where it is dropped: on a new stack and on the bench`, async (t) => {
    const page = await openPage(t, { path: "/stacks/new" });
    await drop(page, await dropZone(page), join(folder, archive));
    await page.getByRole("button", { name: /^conf\/web\.conf/ }).waitFor();
    await page.getByRole("button", { name: "Start over" }).click();
    await page.goto(`/stacks/${stack}/definition`);
    await page.getByText("image: before").waitFor();
    await drop(page, page.getByRole("region", { name: "Files of the definition" }), join(folder, archive));
    await page.getByRole("button", { name: /^conf\/web\.conf.*added/ }).waitFor();
    await page.getByRole("button", { name: /^compose\.yaml.*changed/ }).waitFor();
    await page.getByText("2 changes not saved").waitFor();
    await page.getByText("image: web").waitFor();
    await page.getByRole("button", { name: "Discard" }).click();
    await page.getByText("As saved in v1").waitFor();
  });
}

test("what is no archive is refused in words, and the draft stays", async (t) => {
  const page = await openPage(t, { path: `/stacks/${stack}/definition`, expected: [/\/bundles\b.*\b4\d\d\b/] });
  await page.getByText("image: before").waitFor();
  writeFileSync(join(folder, "broken.zip"), readFileSync(join(folder, "shop.zip")).subarray(0, 60));
  await drop(page, page.getByRole("region", { name: "Files of the definition" }), join(folder, "broken.zip"));
  await page.getByText(/^broken\.zip: /).waitFor();
  await page.getByText("As saved in v1").waitFor();
  assert.equal(await page.getByRole("button", { name: /^conf\/web\.conf/ }).count(), 0);
});
