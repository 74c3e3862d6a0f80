// What the pictures of the documentation show: two of the examples as they run, one of them in its second version, and a
// third that is being built while others wait for it.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { api, command } from "./browser.mjs";

const examples = fileURLToPath(new URL("../../examples", import.meta.url));

async function files(folder, prefix = "") {
  const found = {};
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const [path, name] = [join(folder, entry.name), `${prefix}${entry.name}`];
    if (entry.isDirectory()) Object.assign(found, await files(path, `${name}/`));
    else if (name !== "README.md") found[name] = await readFile(path, "utf8");
  }
  return found;
}

async function well(path, body) {
  const done = await command(path, body);
  if (done.status !== "DONE") throw new Error(`${path}: ${JSON.stringify(done.error ?? done.reason)}`);
  return done;
}

export async function tellStory() {
  for (const [name, comment] of [["static-site", "A site behind a proxy"], ["web-app", "A guest book"]]) {
    await well("/stacks", { name, bundle: { files: await files(join(examples, name)) }, comment });
    await well(`/stacks/${name}/apply/1`);
  }
  const second = await files(join(examples, "web-app"));
  second["compose.yaml"] = second["compose.yaml"].replace("memory: 512M", "memory: 768M");
  await well("/stacks/web-app/versions", { bundle: { files: second }, comment: "More memory for the database" });
  await well("/stacks/web-app/apply/2");
}

/// Puts so much on the queue that it is still at work while the pictures are taken.
export async function fillQueue() {
  await well("/stacks", { name: "pipeline", bundle: { files: await files(join(examples, "pipeline")) }, comment: "Jobs and workers" });
  await api("POST", "/stacks/pipeline/apply/1", {});
  await api("POST", "/stacks/static-site/restart", {});
  await api("POST", "/stacks/web-app/apply/2", {});
}

export async function tidyUp() {
  const { items: waiting } = await api("GET", "/commands?status=PENDING,FAILED&limit=100");
  for (const { seq } of waiting) await api("POST", `/commands/${seq}/cancel`, {}).catch(() => {});
  const { items } = await api("GET", "/stacks?limit=100");
  for (const { id } of items) await command(`/stacks/${id}/delete`, { volumes: true });
}
