// Secrets of a stack in the page: set, replaced, forgotten; a value goes in and is shown nowhere again.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api, closeBrowser, expectAccessible, makeStack, openPage, removeStack, unique } from "./browser.mjs";

after(closeBrowser);

const COMPOSE = `services:
  web:
    image: web
    environment:
      TOKEN: secret://token
`;

test("a secret is set, replaced and forgotten, and its value is in no page", async (t) => {
  const name = unique("sealed");
  t.after(() => removeStack(name));
  await makeStack(name, { "compose.yaml": COMPOSE });
  const page = await openPage(t, { path: `/stacks/${name}` });
  const card = page.getByRole("region", { name: "Secrets" });
  await card.getByText("shown to nobody again").waitFor();
  await expectAccessible(page, "a stack without secrets");

  await card.getByRole("button", { name: "Set a secret" }).click();
  const dialog = page.getByRole("dialog", { name: "Set a secret" });
  await dialog.getByLabel("Name").fill("token");
  await dialog.getByLabel("Value").fill("first-canary");
  await dialog.getByText("secret://token").waitFor();
  await expectAccessible(page, "the dialog of a secret");
  await dialog.getByRole("button", { name: "Set it" }).click();
  await dialog.waitFor({ state: "hidden" });
  const row = card.getByRole("row").filter({ hasText: "token" });
  await row.getByText("v1").waitFor();
  await row.getByText("admin").waitFor();

  await row.getByRole("button", { name: "Replace secret token" }).click();
  const again = page.getByRole("dialog", { name: "Replace token" });
  assert.equal(await again.getByLabel("Value").inputValue(), "", "nothing of the old value is shown");
  await again.getByLabel("Value").fill("second-canary\nwith a line");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await row.getByText("v2").waitFor();
  await expectAccessible(page, "a stack with a secret");
  assert.ok(!(await page.content()).includes("canary"), "the value is in the page");
  const plan = await api("POST", `/stacks/${name}/plan/1`, {});
  assert.ok(!JSON.stringify(plan).includes("canary"));

  await page.setViewportSize({ width: 390, height: 844 });
  await expectAccessible(page, "secrets in a narrow window");
  await row.getByRole("button", { name: "Forget secret token" }).click();
  const sure = page.getByRole("dialog", { name: "Forget secret token?" });
  await sure.getByRole("button", { name: "Forget it" }).click();
  await card.getByText("shown to nobody again").waitFor();
  assert.deepEqual((await api("GET", `/secrets/${name}`)).items, []);
});

test("a value that registries cannot be told is refused with the reason", async (t) => {
  const name = unique("registry");
  t.after(() => removeStack(name));
  await makeStack(name, { "compose.yaml": COMPOSE });
  const page = await openPage(t, { path: `/stacks/${name}` });
  await page.getByRole("region", { name: "Secrets" }).getByRole("button", { name: "Set a secret" }).click();
  const dialog = page.getByRole("dialog", { name: "Set a secret" });
  await dialog.getByLabel("Name").fill("docker-config");
  await dialog.getByLabel("Value").fill("no json");
  await dialog.getByRole("button", { name: "Set it" }).click();
  await page.getByText("it is no config.json of Docker: line 1, column 2").waitFor();
});
