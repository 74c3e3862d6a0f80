// The first script of the page: it carries the few things that are better said in the browser's own language, hands
// them to the WebAssembly part as `globalThis.orrery`, and starts that part. It must not hold logic of the product.
import start from "orrery-wasm";
import binary from "orrery-wasm-binary";
import { filesOfDrop, filesOfInput, download } from "./files";

declare const EXAMPLES_URL: string;

/// Loads a part the first time that it is needed; one that could not be loaded is tried again the next time.
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let part: Promise<T> | undefined;
  return () => (part ??= load().catch((error: unknown) => {
    part = undefined;
    throw error;
  }));
}

const editor = once(() => import("./editor"));
const terminal = once(() => import("./terminal"));
const screen = once(() => import("./screen"));
const checker = once(() => import("./checker"));

const orrery = {
  examplesUrl: EXAMPLES_URL,
  filesOfDrop,
  filesOfInput,
  download,
  /// Loads the editor the first time that a page needs it, and puts one into `host`.
  async openEditor(host: HTMLElement, options: unknown) {
    return (await editor()).open(host, options as never);
  },
  /// Loads a view of a guest the first time that one is looked at, and puts it into `host`.
  async openConsole(host: HTMLElement, label: string) {
    return (await terminal()).open(host, label);
  },
  async openScreen(host: HTMLElement, label: string) {
    return (await screen()).open(host, label);
  },
  /// Loads the checker the first time that a definition is looked at, and has it look at one.
  async check(bundle: string, project: string, machine: boolean) {
    return (await checker()).check(bundle, project, machine);
  },
  async fillMachine(text: string, field: string, value: string) {
    return (await checker()).fillMachine(text, field, value);
  },
};
(globalThis as Record<string, unknown>).orrery = orrery;

/// A panic is a trap: nothing of the page works after it, so that an offer to load again is put over everything.
function crashed(error: unknown) {
  if (error instanceof WebAssembly.RuntimeError) document.getElementById("crashed")?.removeAttribute("hidden");
}
addEventListener("error", (event) => crashed(event.error));
addEventListener("unhandledrejection", (event) => crashed(event.reason));

start({ module_or_path: binary }).catch((error: unknown) => {
  console.error(error);
  document.getElementById("crashed")?.removeAttribute("hidden");
});
