// Puts the page together from its parts: the output of wasm-bindgen (its binary already through wasm-opt), the scripts
// of this folder, the style sheets, the font and the examples; every file under a name with its hash, compressed beside
// the plain one. `node npm/assemble.mjs --pkg DIR --examples DIR --out DIR [--plain]`
//
// DIR of --pkg holds orrery-frontend.js and orrery-frontend_bg.wasm, the same of orrery-checker, and what wasm-split made. --plain leaves compression and minification out.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { build } from "esbuild";
import subsetFont from "subset-font";

const here = dirname(fileURLToPath(import.meta.url));
const args = Object.fromEntries(process.argv.slice(2).map((arg, at, all) => [arg, all[at + 1] ?? ""]).filter(([key]) => key.startsWith("--")));
const pkg = resolve(args["--pkg"] ?? "");
const out = resolve(args["--out"] ?? "");
const plain = "--plain" in args;
if (!args["--pkg"] || !args["--out"]) throw new Error("usage: node npm/assemble.mjs --pkg DIR --examples DIR --out DIR [--plain]");

async function walk(folder, prefix = "") {
  const found = [];
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory()) found.push(...(await walk(join(folder, entry.name), path)));
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

/// A file as the bundle's wire form has it: text, or base64, with the executable flag kept.
async function content(path) {
  const bytes = await readFile(path);
  const executable = ((await stat(path)).mode & 0o100) !== 0;
  const text = bytes.toString("utf8");
  if (!Buffer.from(text, "utf8").equals(bytes)) return { base64: bytes.toString("base64"), ...(executable && { executable }) };
  return executable ? { text, executable } : text;
}

/// The title and the first paragraph of an example's README.md; the file itself is about the example, not part of it.
function about(name, readme) {
  const blocks = readme.split(/\n\s*\n/).map((block) => block.trim()).filter(Boolean);
  const title = blocks.find((block) => block.startsWith("# "))?.slice(2).trim() ?? name;
  const summary = blocks.find((block) => !block.startsWith("#"))?.replace(/\s+/g, " ") ?? "";
  return { title, summary };
}

async function examples(folder) {
  const list = [];
  if (!folder) return list;
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory()) continue;
    const paths = await walk(join(folder, entry.name));
    if (!paths.some((path) => /^(docker-)?compose\.ya?ml$/.test(path))) continue;
    const files = {};
    for (const path of paths) if (path !== "README.md") files[path] = await content(join(folder, entry.name, path));
    const readme = paths.includes("README.md") ? await readFile(join(folder, entry.name, "README.md"), "utf8") : "";
    list.push({ name: entry.name, ...about(entry.name, readme), files });
  }
  return list;
}

async function writeHashed(stem, extension, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 8);
  const name = `${stem}-${hash}.${extension}`;
  await writeFile(join(out, "assets", name), bytes);
  return `/assets/${name}`;
}

function outputOf(result, entry) {
  const found = Object.entries(result.metafile.outputs).find(([, output]) => output.entryPoint?.endsWith(entry));
  return `/assets/${basename(found[0])}`;
}

await rm(out, { recursive: true, force: true });
await mkdir(join(out, "assets"), { recursive: true });
const examplesUrl = await writeHashed("examples", "json", Buffer.from(JSON.stringify(await examples(args["--examples"] && resolve(args["--examples"])))));

/// What cuts the page's WebAssembly in two names the second half by an address; esbuild knows imports.
const secondHalf = {
  name: "second-half",
  setup(plugin) {
    plugin.onLoad({ filter: /__wasm_split\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const files = [];
      const contents = text.replaceAll(/new URL\("(\.\/[^"]+\.wasm)", import\.meta\.url\)/g, (_, file) => `half${files.push(file) - 1}`);
      return { contents: files.map((file, at) => `import half${at} from "${file}";\n`).join("") + contents, resolveDir: dirname(path) };
    });
  },
};

/// The letters of western languages and the signs that the page itself uses; the rest falls back to the system's font.
const LETTERS = [[0x20, 0x7e], [0xa0, 0xff], [0x131, 0x131], [0x152, 0x153], [0x2010, 0x2027], [0x2030, 0x203a], [0x202f, 0x202f], [0x20ac, 0x20ac], [0x2190, 0x2199], [0x2212, 0x2212], [0x2713, 0x2717]]
  .flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => String.fromCodePoint(from + at))).join("");

/// The font with these letters, in the weights that the style sheets use: half of what the package has.
const smallFont = {
  name: "small-font",
  setup(plugin) {
    plugin.onLoad({ filter: /\.woff2$/ }, async ({ path }) => {
      const contents = await subsetFont(await readFile(path), LETTERS, { targetFormat: "woff2", variationAxes: { wght: { min: 400, max: 600 } } });
      return { contents, loader: "file" };
    });
  },
};

/// A library's style sheet as text, for a shadow root to take it as an object.
const sheetAsText = {
  name: "sheet-as-text",
  setup(plugin) {
    plugin.onLoad({ filter: /node_modules\/.*\.css$/ }, async ({ path }) => ({ contents: await readFile(path, "utf8"), loader: "text" }));
  },
};

const result = await build({
  absWorkingDir: join(here, ".."),
  entryPoints: ["npm/boot.ts", "npm/theme.ts", "style/page.css"],
  outdir: join(out, "assets"),
  // The 0 makes every hash look like one: it might have no digit of its own.
  entryNames: "[name]-0[hash]",
  chunkNames: "[name]-0[hash]",
  assetNames: "[name]-0[hash]",
  publicPath: "/assets",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["chrome123", "firefox121", "safari17.5"],
  minify: !plain,
  metafile: true,
  logLevel: "warning",
  define: { EXAMPLES_URL: JSON.stringify(examplesUrl) },
  alias: {
    "orrery-wasm": join(pkg, "orrery-frontend.js"), "orrery-wasm-binary": join(pkg, "orrery-frontend_bg.wasm"),
    // What the package keeps to itself.
    "novnc-logging": join(here, "../node_modules/@novnc/novnc/core/util/logging.js"),
    "orrery-checker": join(pkg, "orrery-checker.js"), "orrery-checker-binary": join(pkg, "orrery-checker_bg.wasm"),
  },
  plugins: [secondHalf, smallFont, sheetAsText],
  loader: { ".wasm": "file" },
});

const names = Object.keys(result.metafile.outputs).map((path) => basename(path));
const icon = await writeHashed("icon", "svg", await readFile(join(here, "..", "icon.svg")));
const index = (await readFile(join(here, "..", "index.html"), "utf8"))
  .replaceAll("{{style}}", outputOf(result, "style/page.css"))
  .replaceAll("{{theme}}", outputOf(result, "npm/theme.ts"))
  .replaceAll("{{boot}}", outputOf(result, "npm/boot.ts"))
  .replaceAll("{{wasm}}", `/assets/${names.find((name) => name.startsWith("orrery-frontend") && name.endsWith(".wasm"))}`)
  .replaceAll("{{font}}", `/assets/${names.find((name) => name.endsWith(".woff2"))}`)
  .replaceAll("{{icon}}", icon);
await writeFile(join(out, "index.html"), index);

if (!plain) {
  const brotli = promisify(brotliCompress);
  for (const path of await walk(out)) {
    if (path.endsWith(".woff2")) continue;
    const bytes = await readFile(join(out, path));
    await writeFile(join(out, `${path}.br`), await brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
  }
}
