/** The platform of a page. */

import type { Channel, Locked, Platform, Socket } from "./platform.js";

/** `clientName` is for the operator's eyes: "my-app/1.0". */
export function browserPlatform(clientName = "iris-web/0.1"): Platform {
  return {
    clientName,
    fetch: (...given) => globalThis.fetch(...given),
    openSocket: (url, protocols) => new WebSocket(url, protocols) as unknown as Socket,
    openChannel: broadcast,
    locked,
    now: () => Date.now(),
    monotonic: () => performance.timeOrigin + performance.now(),
    random: () => Math.random(),
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    later: (ms, work) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    onWake,
    keepStorage: () => {
      navigator.storage?.persist?.().catch(() => undefined); // it may say no; then it is as before
    },
  };
}

/** Web Locks: held by one tab, and free at once when it ends. */
const locked: Locked = (name, signal, work) =>
  navigator.locks.request(name, signal === undefined ? {} : { signal }, () => work()) as Promise<never>;

export function broadcast(name: string): Channel {
  const opened = new BroadcastChannel(name);
  const channel: Channel = {
    onmessage: null,
    post: (message) => opened.postMessage(message),
    close: () => opened.close(),
  };
  opened.onmessage = ({ data }: { data: unknown }) => channel.onmessage?.(data);
  return channel;
}

function onWake(wake: () => void): () => void {
  const shown = () => {
    if (document.visibilityState === "visible") wake();
  };
  globalThis.addEventListener("online", wake);
  globalThis.addEventListener("offline", wake); // perhaps: a server on this machine is still there
  document.addEventListener("visibilitychange", shown);
  return () => {
    globalThis.removeEventListener("online", wake);
    globalThis.removeEventListener("offline", wake);
    document.removeEventListener("visibilitychange", shown);
  };
}
