// What a browser fetches before the first screen stands, counted on the wire, as gzip makes it.
import assert from "node:assert/strict";
import { get } from "node:http";
import { after, test } from "node:test";
import { URL_OF_ORRERY, closeBrowser, makeStack, openPage, removeStack, signIn, unique } from "./browser.mjs";
import { until } from "./installation.mjs";

/// In bytes: 250 KB. A change that makes the page grow beyond it has to say why.
const BUDGET = 250_000;

after(closeBrowser);

/// The size on the wire of every file of the page that is asked for from now on.
function asked(page) {
  const files = new Map();
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith("/api/") && !request.url().startsWith("data:")) files.set(pathname, zipped(pathname));
  });
  return files;
}

/// What a file weighs as gzip makes it, whatever this browser prefers.
function zipped(path) {
  return new Promise((done, fail) => {
    get(new URL(path, URL_OF_ORRERY), { headers: { "accept-encoding": "gzip" } }, (answer) => {
      let bytes = 0;
      answer.on("data", (part) => (bytes += part.length)).on("end", () => done(bytes)).on("error", fail);
    }).on("error", fail);
  });
}

/// What comes only after the first screen stands.
const LATER = /\/split_later-|\/icon-/;

async function weigh(files, which) {
  let bytes = 0;
  for (const [name, size] of files) if (which(name)) bytes += await size;
  return bytes;
}

test("the first load stays within its budget, and the editor and the checker are not in it", async (t) => {
  const page = await openPage(t, { signedIn: false });
  const files = asked(page);
  await page.reload();
  await signIn(page);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await until("the second half is asked for", () => [...files.keys()].some((name) => name.includes("/split_later-")));
  const names = [...files.keys()];
  assert.ok(!names.some((name) => /editor|checker/.test(name)), names.join(" "));
  const first = await weigh(files, (name) => !LATER.test(name));
  t.diagnostic(`${Math.round(first / 1024)} KB at the first load, ${Math.round((await weigh(files, (name) => LATER.test(name))) / 1024)} KB in the background`);
  assert.ok(names.some((name) => name.endsWith(".wasm")) && first <= BUDGET, `${first} bytes, where ${BUDGET} are allowed: ${names.join(" ")}`);
});

test("the second half comes in the background, and every page works when it comes late", async (t) => {
  const page = await openPage(t, { path: "/help" });
  let go;
  const late = new Promise((done) => (go = done));
  await page.context().route("**/assets/split_later*", async (route) => { await late; await route.continue(); });
  await page.reload();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  await page.getByRole("status", { name: "Loading" }).first().waitFor();
  go();
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
});

test("a second half that cannot be had is told, and tried again when asked", async (t) => {
  const page = await openPage(t, { path: "/help", expected: [/split_later|Failed to fetch/] });
  await page.context().route("**/assets/split_later*", (route) => route.abort());
  await page.reload();
  const told = page.getByRole("alert").filter({ hasText: "could not be loaded" });
  await told.waitFor();
  await page.context().unroute("**/assets/split_later*");
  await told.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
});

test("the checker comes when a definition is opened", async (t) => {
  const name = unique("checked");
  t.after(() => removeStack(name));
  await makeStack(name, { "compose.yaml": "services:\n  web:\n    image: web\n" });
  const page = await openPage(t);
  const files = asked(page);
  await page.goto(`/stacks/${name}/definition`);
  await page.getByRole("textbox", { name: "Text of compose.yaml" }).waitFor();
  for (const part of ["/editor-", "/orrery-checker"]) await until(`${part} is asked for`, () => [...files.keys()].some((file) => file.includes(part)));
});
