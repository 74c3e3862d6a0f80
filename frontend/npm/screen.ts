// The screen of a virtual machine: noVNC over a WebSocket, as large as there is room for.
import RFB from "@novnc/novnc";
import { initLogging } from "novnc-logging";
import { type View, colour, frameIn, keepWayOut, onThemeChange } from "./views";

// Why a connection ends is for the page to say.
initLogging("none");

export interface Screen extends View {
  /// Presses Ctrl, Alt and Delete at once, which no browser hands over.
  reset(): void;
}

export function open(host: HTMLElement, label: string): Screen {
  const frame = frameIn(host);
  let client: RFB | undefined;
  const dress = () => {
    if (client) client.background = colour(host, "--sunken");
  };
  const themed = onThemeChange(dress);
  const way = keepWayOut(host, () => {
    if (!client) return;
    // Lets go of every key that is pressed, Shift among them: its release is nobody's to tell any more.
    client.viewOnly = true;
    client.viewOnly = false;
    client.blur();
  });
  return {
    attach(socket) {
      frame.replaceChildren();
      client = new RFB(frame, socket, { shared: true });
      client.scaleViewport = true;
      client.showDotCursor = true;
      dress();
      const canvas = frame.querySelector("canvas");
      canvas?.setAttribute("role", "img");
      canvas?.setAttribute("aria-label", label);
    },
    focus: () => client?.focus(),
    reset: () => client?.sendCtrlAltDel(),
    close() {
      themed();
      way();
      client?.disconnect();
      frame.remove();
    },
  };
}
