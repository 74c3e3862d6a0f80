// Pictures of the pages of a running Orrery: wide and narrow, light and dark. `node screenshots.mjs [--few] [--story] DIR`
//
// What is in the pictures is what is in the installation: an empty one, a full one, a held one. --story first runs the
// examples in it, and takes them away again; --few makes the small set that the documentation shows.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { URL_OF_ORRERY, USER, api, closeBrowser, openBrowser, signIn } from "./browser.mjs";
import { fillQueue, tellStory, tidyUp } from "./story.mjs";

const few = process.argv.includes("--few");
const story = process.argv.includes("--story");
const out = process.argv.slice(2).find((argument) => !argument.startsWith("--")) ?? "../../docs/screenshots";
const looks = { wide: { width: 1440, height: 900 }, "wide-dark": { width: 1440, height: 900, dark: true }, narrow: { width: 390, height: 844 }, "narrow-dark": { width: 390, height: 844, dark: true } };

/// Which pictures the documentation shows, in which look.
const chosen = { wide: ["stack", "definition", "queue"], "wide-dark": ["home"] };

/// The addresses of the pages, by the names of their pictures; the ones that show the queue at work come last.
async function addresses() {
  const { items: stacks } = await api("GET", "/stacks?limit=50");
  const { items: commands } = await api("GET", "/commands?limit=100");
  const shown = stacks.find((stack) => stack.name === "web-app") ?? stacks[0];
  const applied = commands.find((command) => command.type === "stack.apply" && command.status === "DONE") ?? commands[0];
  const { items: machines } = await api("GET", "/machines?limit=50");
  const pages = { stacks: "/stacks", "new-stack": "/stacks/new", machines: "/machines", "new-machine": "/machines/new", boxes: "/boxes", help: "/help" };
  for (const machine of machines.slice(0, 1)) {
    const at = `/machines/${machine.id}`;
    Object.assign(pages, { machine: at, "machine-definition": `${at}/definition`, "machine-plan": `${at}/plan/${machine.latest_version}`, "machine-versions": `${at}/versions` });
  }
  if (applied) pages.command = `/queue/${applied.seq}`;
  for (const stack of shown ? [shown] : []) {
    const at = `/stacks/${stack.id}`;
    Object.assign(pages, { stack: at, definition: `${at}/definition`, plan: `${at}/plan/${stack.latest_version}`, versions: `${at}/versions`, logs: `${at}/logs`, history: `${at}/history` });
  }
  return pages;
}

async function settle(page) {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForLoadState("load");
  await page.evaluate(() => document.fonts.ready);
  // The second half of the page, the editor and the checker come after the load; what they draw, in the next frames.
  await page.waitForFunction(() => new Promise((done) => setTimeout(() => done(!document.querySelector(".skeletons")), 900)));
}

async function picture(page, look, name, path) {
  if (few && !chosen[look]?.includes(name)) return;
  await page.goto(path);
  await settle(page);
  await page.screenshot({ path: join(out, few ? `${name}.png` : `${name}-${look}.png`) });
}

/// Opens a page for each look, and has it photographed.
async function eachLook(photograph) {
  const browser = await openBrowser();
  for (const [look, { width, height, dark }] of Object.entries(looks)) {
    if (few && !chosen[look]) continue;
    const context = await browser.newContext({ baseURL: URL_OF_ORRERY, viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
    const page = await context.newPage();
    await page.goto("/");
    await page.getByLabel("User name").waitFor();
    if (!few) await page.screenshot({ path: join(out, `sign-in-${look}.png`) });
    await signIn(page);
    await photograph(page, look);
    await context.close();
  }
}

await mkdir(out, { recursive: true });
if (story) await tellStory();
const pages = await addresses();
await eachLook(async (page, look) => {
  for (const [name, path] of Object.entries(pages)) await picture(page, look, name, path);
});
if (story) await fillQueue();
await eachLook(async (page, look) => {
  for (const [name, path] of Object.entries({ home: "/", queue: "/queue" })) await picture(page, look, name, path);
});
await closeBrowser();
if (story) await tidyUp();
console.log(`${URL_OF_ORRERY} as ${USER}: pictures in ${out}`);
