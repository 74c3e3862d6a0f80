// The first script of the page: it carries the few things that are better said in the browser's own language, hands
// them to the WebAssembly part as `globalThis.orrery`, and starts that part. It must not hold logic of the product.
import start from "orrery-wasm";
import binary from "orrery-wasm-binary";
import { filesOfDrop, filesOfInput, download } from "./files";

declare const EXAMPLES_URL: string;

let editor: Promise<typeof import("./editor")> | undefined;

const orrery = {
  examplesUrl: EXAMPLES_URL,
  filesOfDrop,
  filesOfInput,
  download,
  /// Loads the editor the first time that a page needs it, and puts one into `host`.
  async openEditor(host: HTMLElement, options: unknown) {
    editor ??= import("./editor");
    return (await editor).open(host, options as never);
  },
};
(globalThis as Record<string, unknown>).orrery = orrery;

start({ module_or_path: binary }).catch((error: unknown) => {
  console.error(error);
  document.getElementById("crashed")?.removeAttribute("hidden");
});
