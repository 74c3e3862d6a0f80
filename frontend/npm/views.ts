// What the two views of a machine's guest share: the terminal and the screen.

/// A way to look at a guest, and to be heard by it.
export interface View {
  /// Shows what comes over this WebSocket, from its beginning, and sends what is typed.
  attach(socket: WebSocket): void;
  focus(): void;
  close(): void;
}

/// A place of its own within `host`, which may serve another view afterwards.
export function frameIn(host: HTMLElement): HTMLElement {
  const frame = host.appendChild(document.createElement("div"));
  frame.style.height = "100%";
  return frame;
}

/// Every key is the guest's, the tab key too, so that one way out is kept: Shift and Escape.
export function keepWayOut(host: HTMLElement, leave: () => void): () => void {
  const out = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    leave();
    host.closest("section")?.querySelector<HTMLElement>("header button")?.focus();
  };
  host.addEventListener("keydown", out, { capture: true });
  return () => host.removeEventListener("keydown", out, { capture: true });
}

/// A colour of the page's style sheet, as the browser has it at the moment.
export function colour(host: HTMLElement, name: string): string {
  const probe = host.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0];
  probe.remove();
  return `#${[red, green, blue].map((part) => Math.round(part ?? 0).toString(16).padStart(2, "0")).join("")}`;
}

/// Tells whenever the page has become light or dark.
export function onThemeChange(tell: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = new MutationObserver(tell);
  system.addEventListener("change", tell);
  chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    system.removeEventListener("change", tell);
    chosen.disconnect();
  };
}
