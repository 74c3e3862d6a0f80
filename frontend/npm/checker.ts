// The checker: the executor's own code in a WebAssembly of its own, loaded when a definition is first looked at.
import start, { check, fillMachine } from "orrery-checker";
import binary from "orrery-checker-binary";

await start({ module_or_path: binary });

export { check, fillMachine };
