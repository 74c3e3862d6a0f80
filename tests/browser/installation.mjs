// The processes of the installation that is tested: stopped as a crash would, and started again by the same `xtask` that
// started them. Where they are is said by ORRERY_DATA_DIR and ORRERY_XTASK; without these such tests are left out.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const xtask = process.env.ORRERY_XTASK;

/// Why a test that needs this cannot be run; nothing when it can.
export const notOurs = xtask && process.env.ORRERY_DATA_DIR ? false : "ORRERY_XTASK and ORRERY_DATA_DIR are not set";

async function pidOf(name) {
  const { stdout } = await run(xtask, ["status", "--json"]);
  return JSON.parse(stdout).processes.find((process) => process.name === name)?.pid;
}

/// Ends a process without a word, and starts it again when the test is over, unless the test has done so.
export async function kill(t, name) {
  t.after(() => bringBack(name));
  const pid = await pidOf(name);
  assert.ok(pid, `${name} does not run`);
  process.kill(pid, "SIGKILL");
}

/// Starts a process again, if it does not run, and waits until it is ready.
export async function bringBack(name) {
  if (!(await pidOf(name))) await run(xtask, ["restart", name]);
}

/// Waits until something holds.
export async function until(what, holds) {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((done) => setTimeout(done, 100));
  }
}
