/** The browser as the models' ports see it. The only place, with the views, that touches the DOM. */

import type { Address, KeyValue, Notices, Permission, Ports } from "../models/ports.js";

const PREFIX = "iris/";

/** localStorage; memory where the browser gives none. */
function keyValue(): KeyValue {
  const memory = new Map<string, string>();
  const attempt = <T>(work: () => T, otherwise: () => T): T => {
    try {
      return work();
    } catch {
      return otherwise();
    }
  };
  return {
    get: (key) =>
      attempt(
        () => localStorage.getItem(PREFIX + key) ?? undefined,
        () => memory.get(key),
      ),
    set: (key, value) =>
      attempt(
        () => localStorage.setItem(PREFIX + key, value),
        () => void memory.set(key, value),
      ),
    remove: (key) =>
      attempt(
        () => localStorage.removeItem(PREFIX + key),
        () => void memory.delete(key),
      ),
  };
}

function listen(target: EventTarget, kind: string, heard: () => void): () => void {
  target.addEventListener(kind, heard);
  return () => target.removeEventListener(kind, heard);
}

function all(...ends: readonly (() => void)[]): () => void {
  return () => {
    for (const end of ends) end();
  };
}

function address(): Address {
  return {
    current: () => location.hash.slice(1),
    go(path, replace) {
      if (path === location.hash.slice(1)) return;
      if (replace) history.replaceState(null, "", `#${path}`);
      else history.pushState(null, "", `#${path}`);
    },
    back: () => history.back(),
    onChange(changed) {
      const moved = () => changed(location.hash.slice(1));
      return all(listen(window, "popstate", moved), listen(window, "hashchange", moved));
    },
  };
}

function notices(): Notices {
  const there = "Notification" in globalThis;
  const permission = (): Permission => (there ? Notification.permission : "unsupported");
  return {
    permission,
    async ask() {
      if (there) await Notification.requestPermission();
      return permission();
    },
    show({ title, body, tag, path }) {
      const options = { body, tag, icon: "/icons/icon-192.png", data: { path } };
      // Phones show notifications of a service worker only; elsewhere both do, and the worker's outlives this page.
      const registered = navigator.serviceWorker?.controller ? navigator.serviceWorker.ready : undefined;
      if (registered !== undefined) {
        void registered.then((worker) => worker.showNotification(title, options));
        return;
      }
      const shown = new Notification(title, options);
      shown.onclick = () => {
        focus();
        location.hash = path;
        shown.close();
      };
    },
  };
}

/** "Chrome on Linux": enough to know one's devices by. */
export function deviceName(agent: string): string {
  const first = (table: readonly (readonly [RegExp, string])[]) => table.find(([known]) => known.test(agent))?.[1];
  const browser = first([
    [/Edg\//, "Edge"],
    [/OPR\//, "Opera"],
    [/Firefox\//, "Firefox"],
    [/Chrom(e|ium)\//, "Chrome"],
    [/Safari\//, "Safari"],
  ]);
  const system = first([
    [/Android/, "Android"],
    [/iPhone|iPad/, "iOS"],
    [/Windows/, "Windows"],
    [/Mac OS X/, "macOS"],
    [/CrOS/, "ChromeOS"],
    [/Linux/, "Linux"],
  ]);
  return [browser ?? "Browser", system].filter((part) => part !== undefined).join(" on ");
}

/** The ports of this page. */
export function browserPorts(): Ports {
  return {
    now: () => Date.now(),
    later(ms, work) {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    store: keyValue(),
    address: address(),
    notices: notices(),
    inFront: () => document.visibilityState === "visible" && document.hasFocus(),
    onFront: (changed) => all(listen(window, "focus", changed), listen(document, "visibilitychange", changed)),
    onHide(work) {
      const hidden = () => {
        if (document.visibilityState === "hidden") work();
      };
      return all(listen(window, "pagehide", work), listen(document, "visibilitychange", hidden));
    },
    copy: (text) => navigator.clipboard.writeText(text),
    deviceName: deviceName(navigator.userAgent),
    origin: location.origin,
    languages: navigator.languages,
    setTitle(title) {
      document.title = title;
    },
    reload: () => location.reload(),
  };
}
