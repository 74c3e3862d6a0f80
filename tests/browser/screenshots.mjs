// Pictures of every page of a running Orrery: wide and narrow, light and dark. `node screenshots.mjs DIR [--few]`
//
// What is in the pictures is what is in the installation: run it against an empty one, a full one, a held one. --few
// makes the small set that the documentation shows.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { URL_OF_ORRERY, USER, api, closeBrowser, openBrowser, signIn } from "./browser.mjs";

const out = process.argv[2] ?? "../../docs/screenshots";
const few = process.argv.includes("--few");
const looks = { wide: { width: 1440, height: 900 }, "wide-dark": { width: 1440, height: 900, dark: true }, narrow: { width: 390, height: 844 }, "narrow-dark": { width: 390, height: 844, dark: true } };

const { items: stacks } = await api("GET", "/stacks?limit=50");
const { items: commands } = await api("GET", "/commands?limit=100");
const shown = stacks.find((stack) => stack.name === "web-app") ?? stacks[0];
const applied = commands.find((command) => command.type === "stack.apply" && command.status === "DONE") ?? commands[0];

const pages = { home: "/", stacks: "/stacks", "new-stack": "/stacks/new", queue: "/queue", help: "/help" };
if (applied) pages.command = `/queue/${applied.seq}`;
for (const stack of shown ? [shown] : []) {
  const at = `/stacks/${stack.id}`;
  Object.assign(pages, { stack: at, definition: `${at}/definition`, plan: `${at}/plan/${stack.latest_version}`, versions: `${at}/versions`, logs: `${at}/logs`, history: `${at}/history` });
}

async function settle(page) {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.getByRole("status", { name: "Loading" }).first().waitFor({ state: "detached" });
  await page.waitForLoadState("load");
  await page.evaluate(() => document.fonts.ready);
  // What comes over the live connection is drawn in the next frames.
  await page.waitForFunction(() => new Promise((done) => setTimeout(() => done(true), 700)));
}

await mkdir(out, { recursive: true });
const browser = await openBrowser();
for (const [look, { width, height, dark }] of Object.entries(looks)) {
  if (few && look.startsWith("narrow")) continue;
  const context = await browser.newContext({ baseURL: URL_OF_ORRERY, viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto("/");
  await page.getByLabel("User name").waitFor();
  if (!few) await page.screenshot({ path: join(out, `sign-in-${look}.png`) });
  await signIn(page);
  for (const [name, path] of Object.entries(pages)) {
    if (few && !((look === "wide" && ["stack", "definition", "queue"].includes(name)) || (look === "wide-dark" && name === "home"))) continue;
    await page.goto(path);
    await settle(page);
    await page.screenshot({ path: join(out, few ? `${name}.png` : `${name}-${look}.png`) });
  }
  await context.close();
}
await closeBrowser();
console.log(`${URL_OF_ORRERY} as ${USER}: pictures in ${out}`);
