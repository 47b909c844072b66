/**
 * The platform of Node, for bots and tests. WebSocket is Node's own where there is one (from 22 on), else that of `ws`.
 *
 * IndexedDB is not part of Node: bring one as a global before. `fake-indexeddb/auto` keeps everything in memory. A profile
 * belongs to one process; clients within it share it like tabs.
 */

import { WebSocket as WsSocket } from "ws";
import { broadcast } from "./browser.js";
import type { Locked, Platform, Socket } from "./platform.js";

export function nodePlatform(clientName = "iris-node/0.1"): Platform {
  return {
    clientName,
    fetch: (...given) => globalThis.fetch(...given),
    openSocket: (url, protocols) => {
      const { WebSocket: Own } = globalThis as { WebSocket?: typeof WebSocket };
      if (Own !== undefined) return new Own(url, protocols) as unknown as Socket;
      return new WsSocket(url, protocols, { perMessageDeflate: false, followRedirects: false }) as unknown as Socket;
    },
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
    onWake: () => () => undefined,
    keepStorage: () => undefined,
  };
}

const tails = new Map<string, Promise<unknown>>(); // the last one that waits for each lock

/** Locks within this process, first come, first served. */
const locked: Locked = async (name, signal, work) => {
  const before = tails.get(name) ?? Promise.resolve();
  let release: () => void = () => undefined;
  const mine = new Promise<void>((resolve) => {
    release = resolve;
  });
  const tail = before.then(() => mine);
  tails.set(name, tail);
  // One that gave up waiting must not free the lock of those before it.
  void tail.then(() => tails.get(name) === tail && tails.delete(name));
  try {
    await turn(before, signal);
    return await work();
  } finally {
    release();
  }
};

/** Wait for those before, or until it is no longer wanted. */
async function turn(before: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  await Promise.race([before, aborted]);
  signal?.throwIfAborted();
}
