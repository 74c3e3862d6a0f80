// A real Chromium in front of a running Orrery, and what every test of the page asks for: somebody signed in, no error on
// the console, nothing that axe finds. Where Orrery is, is said by ORRERY_URL, ORRERY_USER, ORRERY_PASSWORD, ORRERY_TOKEN.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { chromium } from "playwright-core";

export const URL_OF_ORRERY = need("ORRERY_URL");
export const USER = process.env.ORRERY_USER ?? "admin";
export const PASSWORD = need("ORRERY_PASSWORD");
const TOKEN = need("ORRERY_TOKEN");

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: start an installation with \`cargo xtask up\` and say where it is`);
  return value;
}

let browser;

export async function openBrowser() {
  browser ??= await chromium.launch({ executablePath: process.env.ORRERY_CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  return browser;
}

export async function closeBrowser() {
  await browser?.close();
  browser = undefined;
}

/// The windows of the running test.
const open = new Set();

async function closePages() {
  await Promise.all([...open].map((context) => context.close()));
  open.clear();
}

/// Answers that are part of the story, and that the browser puts on its console all the same.
const EXPECTED = [/\/auth\/me\b.*\b401\b/, /\/auth\/login\b.*\b401\b/];

/// A page of its own, signed in unless told otherwise. When the test ends, an error on the console fails it.
export async function openPage(t, { path = "/", signedIn = true, width = 1440, height = 900, dark = false, expected = [] } = {}) {
  const context = await (await openBrowser()).newContext({
    baseURL: URL_OF_ORRERY, viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce", acceptDownloads: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    const line = `${message.location().url} ${message.text()}`;
    const known = [...EXPECTED, ...expected].some((pattern) => pattern.test(line));
    if (message.type() === "error" && !known) errors.push(line);
  });
  open.add(context);
  t.after(async () => {
    await closePages();
    assert.deepEqual(errors, [], "the console must stay free of errors");
  });
  await page.goto(path);
  if (signedIn) await signIn(page);
  return page;
}

export async function signIn(page) {
  await page.getByLabel("User name").fill(USER);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}

/// What axe says against WCAG 2.2 AA; an empty list is what is wanted.
export async function axe(page) {
  // As tall as its content, so that what sticks to an edge of the window covers nothing.
  const before = page.viewportSize();
  const height = () => page.evaluate(() => document.documentElement.scrollHeight);
  // Evaluated through the debugger: the page's own content security policy does not apply, and stays as it is.
  await page.evaluate(axeSource);
  let result;
  // A page that changed meanwhile, because something came over the live connection, is looked at again: axe cannot tell where an
  // element was that has gone under its eyes.
  for (let round = 0; round < 5; round += 1) {
    const tall = await height();
    await page.setViewportSize({ width: before.width, height: Math.max(before.height, tall + 80) });
    try {
      result = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
      if ((await height()) <= Math.max(before.height, tall + 80)) break;
    } catch (error) {
      if (round === 4) throw error;
    }
  }
  await page.setViewportSize(before);
  return result.violations.map((violation) => `${violation.id}: ${violation.help}: ${violation.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
}

export async function expectAccessible(page, where) {
  assert.deepEqual(await axe(page), [], `axe finds nothing on ${where}`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(over <= 0, `${where} is ${over} px wider than the window`);
}

/// The API with the administrator's token, for what a test prepares and looks up.
export async function api(method, path, body) {
  const answer = await fetch(`${URL_OF_ORRERY}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...(body !== undefined && { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const read = text ? JSON.parse(text) : undefined;
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return read;
}

/// Sends a command and waits for its end.
export async function command(path, body = {}) {
  let sent = await api("POST", path, body);
  const deadline = Date.now() + 180_000;
  while (["PENDING", "RUNNING"].includes(sent.status)) {
    assert.ok(Date.now() < deadline, `${path} does not end`);
    sent = await api("GET", `/commands/${sent.seq}?wait=20s`);
  }
  return sent;
}

/// Makes a stack by the API, for tests that are about something else.
export async function makeStack(name, files) {
  const made = await command("/stacks", { name, bundle: { files } });
  assert.equal(made.status, "DONE", JSON.stringify(made.reason ?? made.error));
  return made.stack_id;
}

/// Removes what a test made. Its pages are closed before: one that still showed the stack would ask for it again, and the
/// 404 that is right then would stand on its console.
export async function removeStack(name) {
  await closePages();
  const { items } = await api("GET", "/stacks?limit=500");
  if (items.some((stack) => stack.name === name)) await command(`/stacks/${name}/delete`, { volumes: true });
}

/// The same for a machine, its disks with it.
export async function removeMachine(name) {
  await closePages();
  const { items } = await api("GET", "/machines?limit=500");
  if (items.some((machine) => machine.name === name)) await command(`/machines/${name}/delete`, { disks: true });
}

export async function freePort() {
  // Below the ports that the system gives to outgoing connections: none of them takes it in between.
  const port = 12_000 + Math.floor(Math.random() * 20_000);
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(freePort()));
    server.listen(port, "127.0.0.1", () => server.close(() => done(port)));
  });
}

export function unique(stem) {
  return `${stem}-${Math.random().toString(36).slice(2, 8)}`;
}

/// Puts text into the open editor in place of what is there.
export async function writeInEditor(page, text) {
  const content = page.locator(".editor .cm-content");
  await content.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(text);
}

export async function editorText(page) {
  return page.locator(".editor .cm-content").evaluate((content) => [...content.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\n"));
}
