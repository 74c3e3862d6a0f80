// The serial console: xterm.js over a WebSocket, dressed in the page's own colours.
//
// It lives in a shadow root like the editor, and for the same reason: a strict content security policy forbids the <style>
// elements that xterm.js writes, and allows style sheets that are objects.
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import sheet from "@xterm/xterm/css/xterm.css";
import { type View, colour, frameIn, keepWayOut, onThemeChange } from "./views";

const SCROLLBACK = 10_000;
/// How long after the beginning what was said before may still come, in milliseconds.
const REPLAY = 300;

function theme(host: HTMLElement): ITheme {
  const of = (name: string) => colour(host, name);
  const dark = of("--ink") > of("--paper");
  const [black, white] = dark ? [of("--line"), of("--ink")] : [of("--ink"), of("--ink-3")];
  return {
    background: of("--sunken"), foreground: of("--ink"), cursor: of("--brass"), cursorAccent: of("--sunken"), selectionBackground: of("--wait-wash"),
    black, red: of("--bad"), green: of("--ok"), yellow: of("--warn"), blue: of("--wait"), magenta: of("--hue-4"), cyan: of("--hue-5"), white,
    brightBlack: of("--ink-3"), brightRed: of("--hue-6"), brightGreen: of("--hue-8"), brightYellow: of("--brass"), brightBlue: of("--hue-1"),
    brightMagenta: of("--hue-7"), brightCyan: of("--hue-5"), brightWhite: of("--ink"),
  };
}

/// A stand-in for a <style> element, whose text is a style sheet of this root.
function styleOf(root: ShadowRoot): HTMLElement {
  const object = new CSSStyleSheet();
  root.adoptedStyleSheets.push(object);
  const stand = document.createElement("template");
  Object.defineProperty(stand, "textContent", { set: (text: string) => object.replaceSync(text) });
  stand.remove = () => {
    root.adoptedStyleSheets = root.adoptedStyleSheets.filter((other) => other !== object);
    HTMLElement.prototype.remove.call(stand);
  };
  return stand;
}

/// Makes something that asks for <style> elements; xterm.js 6.0 asks the page's own document, whatever document it is given.
function withoutStyleElements(root: ShadowRoot, make: () => void) {
  const real = document.createElement;
  const instead = (name: string, options?: ElementCreationOptions) => (name === "style" ? styleOf(root) : real.call(document, name, options));
  document.createElement = instead as typeof real;
  try {
    make();
  } finally {
    // The document's own method is its prototype's again.
    delete (document as Partial<Document>).createElement;
  }
}

function linesOf(terminal: Terminal): string {
  const buffer = terminal.buffer.normal;
  const lines = Array.from({ length: buffer.length }, (_, at) => buffer.getLine(at));
  const text = lines.map((line, at) => (line?.isWrapped || at === 0 ? "" : "\n") + (line?.translateToString(true) ?? "")).join("");
  return `${text.trimEnd()}\n`;
}

export interface Console extends View {
  /// What it has shown, line by line.
  text(): string;
}

export function open(host: HTMLElement, label: string): Console {
  const frame = frameIn(host);
  const root = frame.attachShadow({ mode: "open" });
  const base = new CSSStyleSheet();
  base.replaceSync(`${sheet} .xterm { height: 100%; padding: 12px; box-sizing: border-box } .xterm .xterm-viewport { background-color: transparent }`);
  root.adoptedStyleSheets = [base];
  const desk = root.appendChild(document.createElement("div"));
  desk.style.height = "100%";
  const terminal = new Terminal({
    scrollback: SCROLLBACK, fontSize: 13, lineHeight: 1.3, screenReaderMode: true, cursorBlink: false,
    fontFamily: getComputedStyle(host).getPropertyValue("--mono"), theme: theme(host), minimumContrastRatio: 4.5,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  withoutStyleElements(root, () => terminal.open(desk));
  terminal.textarea?.setAttribute("aria-label", label);
  const sized = new ResizeObserver(() => fit.fit());
  sized.observe(host);
  const themed = onThemeChange(() => (terminal.options.theme = theme(host)));
  const way = keepWayOut(host, () => terminal.blur());
  let line: { socket: WebSocket; replayed: boolean } | undefined;
  const say = (bytes: Uint8Array<ArrayBuffer>) => {
    if (line?.replayed && line.socket.readyState === WebSocket.OPEN) line.socket.send(bytes);
  };
  terminal.onData((text) => say(new TextEncoder().encode(text)));
  terminal.onBinary((text) => say(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  return {
    attach(socket) {
      const mine = (line = { socket, replayed: false });
      socket.binaryType = "arraybuffer";
      // What was said before comes again, in one message after the empty one that begins; what a terminal answers to questions in
      // that the guest has long had.
      terminal.reset();
      let first = true;
      socket.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer>) => {
        if (line !== mine) return;
        if (data.byteLength === 0) {
          setTimeout(() => (mine.replayed = true), REPLAY);
          return;
        }
        const ended = first ? () => (mine.replayed = true) : undefined;
        first = false;
        terminal.write(new Uint8Array(data), ended);
      });
    },
    focus: () => terminal.focus(),
    text: () => linesOf(terminal),
    close() {
      sized.disconnect();
      themed();
      way();
      terminal.dispose();
      frame.remove();
    },
  };
}
