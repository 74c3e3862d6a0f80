// What a person is told while a part of Orrery is away, and that everything goes on by itself when it is back.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api, closeBrowser, expectAccessible, makeStack, openPage, removeStack, unique } from "./browser.mjs";
import { bringBack, kill, notOurs, until } from "./installation.mjs";

after(closeBrowser);

/// What the browser itself says on the console of an api that cannot be reached, or that has lost what it leans on.
const AWAY = [/ERR_(INTERNET_DISCONNECTED|CONNECTION_\w+|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)/, /\b50[234]\b/];

test("an executor that is away is told in the banner, and its command goes on when it is back", { skip: notOurs }, async (t) => {
  const name = unique("waits");
  t.after(() => removeStack(name));
  const page = await openPage(t);
  await kill(t, "docker-executor");
  const sent = await api("POST", "/stacks", { name, bundle: { files: { "compose.yaml": "services:\n  web:\n    image: web\n" } } });
  const banner = page.getByRole("alert").filter({ hasText: "The queue waits for an executor that is away" });
  await banner.getByRole("link", { name: `create ${name}` }).waitFor();
  await banner.getByRole("button", { name: "Cancel it" }).waitFor();
  await page.getByText("an executor is away").waitFor();
  await expectAccessible(page, "the queue that waits for an executor");
  await bringBack("docker-executor");
  await banner.waitFor({ state: "detached" });
  const done = await api("GET", `/commands/${sent.seq}?wait=60s`);
  assert.equal(done.status, "DONE");
  await page.getByRole("link", { name, exact: true }).first().waitFor();
});

test("a connection that is lost says so, comes back, and misses nothing", { skip: notOurs }, async (t) => {
  const name = unique("meanwhile");
  t.after(() => removeStack(name));
  const page = await openPage(t, { path: "/stacks", expected: AWAY });
  const link = page.getByRole("banner").getByRole("status");
  await link.getByText("live", { exact: true }).waitFor({ state: "attached" });
  await kill(t, "api");
  await link.getByText("reconnecting").waitFor();
  await expectAccessible(page, "a lost connection");
  // What was on the screen stays there, and can be walked about in.
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Queue/ }).click();
  await page.getByRole("heading", { level: 1, name: "Queue" }).waitFor();
  await page.goBack();
  await bringBack("api");
  await link.getByText("live", { exact: true }).waitFor({ state: "attached" });
  await makeStack(name, { "compose.yaml": "services:\n  web:\n    image: web\n" });
  await page.getByRole("link", { name, exact: true }).first().waitFor();
  assert.equal(await page.getByText("Your session has ended.").count(), 0, "the session outlives the api");
});

test("what happened while the connection was lost is there when it is back", { skip: notOurs }, async (t) => {
  const name = unique("unseen");
  t.after(() => removeStack(name));
  const page = await openPage(t, { path: "/stacks", expected: AWAY });
  await page.getByRole("heading", { level: 1, name: "Stacks" }).waitFor();
  await page.context().setOffline(true);
  await kill(t, "api");
  await page.getByRole("banner").getByRole("status").getByText("reconnecting").waitFor();
  await bringBack("api");
  await makeStack(name, { "compose.yaml": "services:\n  web:\n    image: web\n" });
  await until("the stack is in the list", async () => (await api("GET", "/stacks?limit=500")).items.some((stack) => stack.name === name));
  assert.equal(await page.getByRole("link", { name, exact: true }).count(), 0);
  await page.context().setOffline(false);
  await page.getByRole("link", { name, exact: true }).first().waitFor();
});

test("a page that is opened while the api cannot answer says so, and goes on by itself", async (t) => {
  const page = await openPage(t, { path: "/help", expected: [/ERR_FAILED/] });
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
  await page.context().route("**/api/v1/**", (route) => route.abort());
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Orrery does not answer" }).waitFor();
  await expectAccessible(page, "an api that does not answer");
  await page.context().unroute("**/api/v1/**");
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
});
