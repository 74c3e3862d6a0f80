// The door: who may come in, who is told what, and where he finds himself afterwards.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { PASSWORD, URL_OF_ORRERY, USER, closeBrowser, expectAccessible, openPage, signIn } from "./browser.mjs";

after(closeBrowser);

test("a wrong password is refused in words, and the right one leads to where one wanted to go", async (t) => {
  const page = await openPage(t, { path: "/queue", signedIn: false });
  await page.getByLabel("User name").fill(USER);
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("User name or password is wrong.").waitFor();
  await expectAccessible(page, "the refused sign-in");
  await signIn(page);
  await page.getByRole("heading", { level: 1, name: "Queue" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/queue");
});

test("the end of a session is told, and the person goes on where he was", async (t) => {
  const page = await openPage(t, { path: "/help", expected: [/\b401\b/] });
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
  // The session ends behind the page's back: signed out by its own cookie from elsewhere.
  const ended = await page.context().request.post(`${URL_OF_ORRERY}/api/v1/auth/logout`, { headers: { "X-Orrery-CSRF": "1", Origin: URL_OF_ORRERY } });
  assert.ok(ended.ok());
  await page.getByText("Your session has ended.").waitFor();
  await expectAccessible(page, "the ended session");
  await signIn(page);
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
});

test("signing out leads to the door and says nothing of an ended session", async (t) => {
  const page = await openPage(t, { expected: [/\b401\b/] });
  await page.getByLabel(`Account of ${USER}`).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal(await page.getByText("Your session has ended.").count(), 0);
});

test("the password can be changed, and back", async (t) => {
  const page = await openPage(t);
  const change = async (from, to) => {
    await page.getByLabel(`Account of ${USER}`).click();
    await page.getByRole("button", { name: "Change password" }).click();
    const dialog = page.getByRole("dialog", { name: "Change your password" });
    await dialog.getByLabel("Present password").fill(from);
    await dialog.getByLabel("New password", { exact: true }).fill(to);
    await dialog.getByLabel("New password, again").fill(to);
    await dialog.getByRole("button", { name: "Change password" }).click();
    return dialog;
  };
  let dialog = await change(PASSWORD, "short");
  await dialog.getByText("The new password needs at least 12 characters.").waitFor();
  await page.keyboard.press("Escape");
  const other = `${PASSWORD}-and-more-of-it`;
  dialog = await change(PASSWORD, other);
  await dialog.waitFor({ state: "hidden" });
  dialog = await change(other, PASSWORD);
  await dialog.waitFor({ state: "hidden" });
});
