// Machines, by hand: a box comes in, a machine is made of it by the form, runs, is looked at, changed, kept, rolled back, and goes.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { api, closeBrowser, command, editorText, expectAccessible, openPage, removeMachine, unique, writeInEditor } from "./browser.mjs";
import { disk } from "./guest.mjs";
import { until } from "./installation.mjs";

const [name, box, mine] = [unique("vm"), unique("echo"), unique("mine")];
const folder = mkdtempSync(join(tmpdir(), "orrery-boxes-"));
let server, url, sha256;

before(async () => {
  const image = disk();
  sha256 = createHash("sha256").update(image).digest("hex");
  server = createServer((_, answer) => answer.end(image)).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${server.address().port}/${box}.img`;
});
after(async () => {
  await removeMachine(name);
  const { items } = await api("GET", "/boxes");
  for (const one of items.filter((one) => [box, mine].includes(one.name))) await command(`/boxes/${one.name}/remove`);
  rmSync(folder, { recursive: true });
  server.close();
  await closeBrowser();
});

const head = (page, word) => page.getByRole("main").locator(".head .st", { hasText: word });
const tab = (page, word) => page.getByRole("navigation", { name: "Parts of this machine" }).getByRole("link", { name: word });

async function ended(page) {
  const failed = page.getByText("It failed, and holds the queue.");
  await page.getByRole("link", { name: "See what runs" }).or(failed).first().waitFor({ timeout: 240_000 });
  if (await failed.count()) assert.fail(await page.getByRole("main").innerText());
}

test("the host says how its machines are run", async (t) => {
  const page = await openPage(t, { path: "/" });
  await page.getByText(/libvirt \d+\.\d+\.\d+, emulating in software/).waitFor({ timeout: 60_000 });
  const { items } = await api("GET", "/hosts");
  const { cpus, memory, accelerator } = items.find((host) => host.engine === "libvirt");
  assert.ok(cpus > 0 && memory > 1 << 28 && accelerator === "tcg", JSON.stringify(items));
});

test("a box becomes a machine that runs, is changed, kept and rolled back, and goes", async (t) => {
  // An address without TLS is refused until it comes with a checksum.
  const page = await openPage(t, { path: "/machines", expected: [/\/boxes\b.*\b422\b/] });

  await t.test("without one, the page says what to do", async () => {
    await page.getByRole("heading", { name: "No machine yet" }).waitFor();
    await expectAccessible(page, "no machine");
    await page.getByRole("link", { name: "Import a box" }).click();
    await page.getByRole("heading", { level: 1, name: "Boxes" }).waitFor();
  });

  await t.test("a box is imported by its address, with its checksum", async () => {
    await page.getByRole("button", { name: "Import a box" }).first().click();
    const dialog = page.getByRole("dialog", { name: "Import a box" });
    await dialog.getByLabel("Address").fill(url);
    await dialog.getByLabel("Name").focus();
    assert.equal(await dialog.getByLabel("Name").inputValue(), box, "the address suggests a name");
    await dialog.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByText("http is not encrypted").waitFor();
    await dialog.getByLabel("SHA-256").fill(sha256);
    await expectAccessible(page, "the import of a box");
    await dialog.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByRole("region", { name: "Boxes" }).getByText(box, { exact: true }).waitFor({ timeout: 120_000 });
    await expectAccessible(page, "the boxes");
  });

  await t.test("a file of this computer is uploaded, survives a reload, and becomes a box", async () => {
    const [file, other] = [join(folder, `${mine}.img`), join(folder, "other.img")];
    writeFileSync(file, randomBytes(9 << 20));
    writeFileSync(other, randomBytes(1 << 20));
    // The second part never comes through: the window is closed over it.
    let parts = 0;
    await page.route(/\/api\/v1\/uploads\/[^/]+$/, (route) => (route.request().method() === "PUT" && ++parts === 2 ? undefined : route.continue()));
    await page.getByRole("button", { name: "Import a box" }).first().click();
    const dialog = page.getByRole("dialog", { name: "Import a box" });
    await dialog.getByRole("radio", { name: "From this computer" }).click();
    await dialog.getByLabel("File").setInputFiles(file);
    assert.equal(await dialog.getByLabel("Name").inputValue(), mine, "the file suggests a name");
    await expectAccessible(page, "the upload of a box");
    await dialog.getByRole("button", { name: "Upload and import" }).click();
    const row = page.getByRole("region", { name: "Uploads" }).getByRole("row").filter({ hasText: mine });
    await row.getByText("44 % of 9 MiB").waitFor();
    await row.getByRole("button", { name: `Pause the upload of ${mine}` }).waitFor();
    await page.reload();
    await row.getByText("44 % of 9 MiB; choose the same file to go on").waitFor();
    await expectAccessible(page, "an upload that was interrupted");

    const choose = async (path) => {
      const chooser = page.waitForEvent("filechooser");
      await row.getByRole("button", { name: `Go on with the upload of ${mine}` }).click();
      await (await chooser).setFiles(path);
    };
    await choose(other);
    await page.getByText("the upload is of a file with").waitFor();
    await choose(file);
    const boxes = page.getByRole("region", { name: "Boxes" });
    await boxes.getByText(mine, { exact: true }).waitFor({ timeout: 120_000 });
    await row.waitFor({ state: "detached" });
    await boxes.getByRole("row").filter({ hasText: mine }).getByText("upload", { exact: true }).waitFor();
    assert.equal((await command(`/boxes/${mine}/remove`)).status, "DONE");
    await boxes.getByText(mine, { exact: true }).waitFor({ state: "detached" });
  });

  await t.test("the form and the text are one", async () => {
    await page.goto("/machines/new");
    await page.getByRole("textbox", { name: "Text of machine.yaml" }).waitFor();
    await page.getByLabel("Box", { exact: true }).fill(box);
    await page.getByLabel("Memory").fill("64MiB");
    await page.getByLabel("Memory").blur();
    await until("the text says what the form does", async () => /memory: 64MiB/.test(await editorText(page)) && (await editorText(page)).includes(box));
    const right = `# the test's own\nkind: vm\nsource:\n  box: ${box}\nmemory: 64MiB\nnetworks: []\nstop_grace_period: 1s\nscreen: vnc\nready: {console: hello from the guest}\n`;
    await writeInEditor(page, right.replace("memory", "memroy"));
    await page.getByRole("list", { name: "Problems" }).getByText(/Did you mean memory/).waitFor();
    await writeInEditor(page, right);
    await page.getByRole("list", { name: "Problems" }).getByText(/Did you mean memory/).waitFor({ state: "detached" });
    await page.getByLabel("Processors").fill("2");
    await page.getByLabel("Processors").blur();
    await until("a new line is added, and the comment stays", async () => /^# the test's own\n[^]*cpus: 2/.test(await editorText(page)));
    await expectAccessible(page, "the new machine");
  });

  await t.test("it is made, planned and applied", async () => {
    await page.getByLabel("Name of the machine").fill(name);
    await page.getByRole("button", { name: "Create, then see the plan" }).click();
    await page.getByRole("region", { name: "Plan" }).getByText("This is the first time that it runs.").waitFor();
    await page.getByText("a disk over its box").waitFor();
    await expectAccessible(page, "the plan");
    await page.getByRole("button", { name: "Apply v1" }).click();
    await ended(page);
    await expectAccessible(page, "the command that has ended");
    await page.getByRole("link", { name: "See what runs" }).click();
    await head(page, "running").waitFor({ timeout: 60_000 });
    await page.getByText(`begins with box ${box}`).waitFor();
    await expectAccessible(page, "the overview");
  });

  await t.test("it is in the list, and the box is its", async () => {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Machines/ }).click();
    await page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) }).getByText("running").waitFor();
    await expectAccessible(page, "the machines");
    await page.getByRole("navigation", { name: "Machines and boxes" }).getByRole("link", { name: "Boxes" }).click();
    const row = page.getByRole("row").filter({ hasText: box });
    await row.getByRole("link", { name }).waitFor();
    await row.getByRole("button", { name: `Remove box ${box}` }).click();
    await page.getByRole("button", { name: "Remove it" }).click();
    await page.locator(".toast.bad", { hasText: /us/ }).waitFor({ timeout: 60_000 });
    await row.waitFor();
    await row.getByRole("link", { name }).click();
  });

  const uses = page.getByRole("region", { name: "What it uses" });
  await t.test("what it uses is drawn, and said", async () => {
    await uses.getByRole("img", { name: /^Processor, the last 15 min: now \d+ % of 2 processors; at most \d+ %$/ }).waitFor({ timeout: 60_000 });
    for (const chart of ["Memory", "Disks", "Network"]) await uses.getByRole("img", { name: new RegExp(`^${chart}, the last 15 min: now `) }).waitFor();
    const line = () => uses.locator("path.line").first().getAttribute("d");
    const before = await line();
    await until("the line goes on by itself", async () => (await line()) !== before);
    await expectAccessible(page, "the charts");
  });

  const console = page.getByRole("region", { name: "Serial console" });
  await t.test("its console says what it said, hears what is typed, and is left by the keyboard", async () => {
    await tab(page, "Console").click();
    await console.getByText("connected").waitFor();
    await console.getByText("hello from the guest").first().waitFor();
    await page.keyboard.type("knock knock");
    await console.getByText("knock knock").first().waitFor();
    await expectAccessible(page, "the console");
    await page.keyboard.press("Shift+Escape");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Save");
    const saved = page.waitForEvent("download");
    await page.keyboard.press("Enter");
    assert.equal((await saved).suggestedFilename(), "console.txt");
    await page.reload();
    await console.getByText("knock knock").first().waitFor();
  });

  await t.test("its screen is seen", async () => {
    await tab(page, "Screen").click();
    const screen = page.getByRole("region", { name: "Screen" });
    await screen.getByText("connected").waitFor();
    const canvas = screen.getByRole("img", { name: "The guest's screen" });
    const colours = () => canvas.evaluate((canvas) => new Set(new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size);
    await until("the firmware's words are on it", async () => (await canvas.count()) > 0 && (await colours()) > 1);
    await expectAccessible(page, "the screen");
    await page.keyboard.press("Shift+Escape");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Ctrl Alt Del");
    const answer = await page.request.get(await screen.getByRole("link", { name: "Picture" }).getAttribute("href"));
    assert.deepEqual([answer.status(), answer.headers()["content-type"]], [200, "image/png"]);
  });

  await t.test("a console that has nothing to show says why, and comes back with the guest", async () => {
    await tab(page, "Console").click();
    await console.getByText("connected").waitFor();
    await page.getByRole("button", { name: "Shut down" }).first().click();
    await console.getByText("start it first").waitFor({ timeout: 60_000 });
    await expectAccessible(page, "a console without a guest");
    await page.getByRole("button", { name: "Start", exact: true }).first().click();
    await console.getByText("connected").waitFor({ timeout: 60_000 });
    await console.getByText("hello from the guest").first().waitFor();
    await tab(page, "Overview").click();
  });

  await t.test("it is suspended, resumed, stopped and started", async () => {
    await page.getByLabel(`More for ${name}`).click();
    await page.getByRole("button", { name: "Suspend" }).click();
    await head(page, "suspended").waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "Resume" }).first().click();
    await head(page, "running").waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "Shut down" }).first().click();
    await head(page, "stopped").waitFor({ timeout: 60_000 });
    await uses.getByRole("img", { name: /^Processor, the last 15 min: now off;/ }).waitFor();
    await page.getByRole("button", { name: "Start", exact: true }).first().click();
    await head(page, "running").waitFor({ timeout: 60_000 });
  });

  await t.test("a snapshot is taken, and forgotten when asked twice", async () => {
    await page.getByRole("button", { name: "Take a snapshot" }).click();
    await page.getByLabel("Name", { exact: true }).fill("before");
    await expectAccessible(page, "the question for a snapshot");
    await page.getByRole("button", { name: "Take it" }).click();
    const row = page.getByRole("region", { name: "Snapshots" }).getByRole("row").filter({ hasText: "before" });
    await row.waitFor({ timeout: 120_000 });
    await row.getByRole("button", { name: "Forget before" }).click();
    await page.getByRole("button", { name: "Forget it" }).click();
    await row.waitFor({ state: "detached", timeout: 120_000 });
  });

  await t.test("a second version says when it applies, and the first one comes back", async () => {
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: "Text of machine.yaml" }).waitFor();
    await page.getByLabel("Processors").fill("1");
    await page.getByLabel("Processors").blur();
    await page.getByText("1 change not saved").waitFor();
    await expectAccessible(page, "the definition");
    await page.getByLabel("Note about this version").fill("One processor");
    await page.getByRole("button", { name: "Save, then see the plan" }).click();
    await page.getByText("cpus take effect when it boots again").waitFor();
    await page.getByRole("button", { name: "Apply v2" }).click();
    await ended(page);
    await tab(page, "Versions").click();
    await page.getByRole("region", { name: "Differences in machine.yaml" }).waitFor();
    await expectAccessible(page, "the versions");
    await page.getByRole("link", { name: "roll back" }).first().click();
    await page.getByRole("button", { name: "Roll back to v1" }).click();
    await ended(page);
    await tab(page, "History").click();
    for (const deed of ["create", "apply", "suspend", "shut down", "save", "roll back"]) {
      await page.getByRole("main").getByRole("link", { name: new RegExp(`^${deed} ${name}`) }).first().waitFor();
    }
    await expectAccessible(page, "the history");
  });

  await t.test("deleting says what becomes of the disks, and wants the name", async () => {
    await page.getByLabel(`More for ${name}`).click();
    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${name}?` });
    await dialog.getByText("kept in the pool").waitFor();
    await dialog.getByLabel(/The disks go too/).check();
    await expectAccessible(page, "the question before a delete");
    await dialog.getByLabel(/Write its name/).fill(name);
    await dialog.getByRole("button", { name: "Delete it and its disks" }).click();
    await head(page, "done").waitFor({ timeout: 60_000 });
    await page.goto("/machines");
    await page.getByRole("heading", { name: "No machine yet" }).waitFor();
    await page.goto("/boxes");
    await page.getByRole("button", { name: `Remove box ${box}` }).click();
    await page.getByRole("button", { name: "Remove it" }).click();
    await page.getByRole("heading", { name: "No box yet" }).waitFor({ timeout: 60_000 });
  });
});
