/** A platform in virtual time: timers run when a test lets time pass, sockets are what a test makes them say. */

import { EARLY, EARLY_HELLO, SUBPROTOCOL } from "../src/link.js";
import type { Channel, Locked, Platform, Socket } from "../src/platform/platform.js";

export class FakeSocket implements Socket {
  binaryType = "";
  protocol: string = SUBPROTOCOL;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: Uint8Array[] = [];
  closedWith: number | undefined;

  constructor(
    readonly url: string,
    readonly protocols: readonly string[],
  ) {}

  /** It is open; with `early` the server takes the Hello of the upgrade, if one was offered: it counts as sent. */
  opens(early: boolean): void {
    const hello = this.protocols.find((protocol) => protocol.startsWith(EARLY_HELLO));
    if (early && hello !== undefined && this.protocols.includes(EARLY)) {
      this.protocol = EARLY;
      this.sent.push(new Uint8Array(Buffer.from(hello.slice(EARLY_HELLO.length), "base64url")));
    }
    this.onopen?.();
  }

  send(data: Uint8Array): void {
    this.sent.push(data);
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  says(data: Uint8Array | string): void {
    this.onmessage?.({ data: typeof data === "string" ? data : data.slice().buffer });
  }
}

export class Virtual {
  time = 1_000_000;
  readonly sockets: FakeSocket[] = [];
  private readonly timers = new Set<{ at: number; work: () => void }>();
  private readonly channels = new Set<Channel>();
  private readonly tails = new Map<string, Promise<unknown>>();
  private chosen = 0;
  wake: () => void = () => undefined;
  kept = 0;

  /** Locks and channels are shared by the platforms of one Virtual, as by tabs. */
  platform(fetch: typeof globalThis.fetch = () => Promise.reject(new Error("no network"))): Platform {
    return {
      clientName: "test/1",
      fetch,
      openSocket: (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        this.sockets.push(socket);
        return socket;
      },
      openChannel: () => this.channel(),
      locked: this.locked,
      now: () => this.time,
      monotonic: () => this.time,
      random: () => 0.5,
      randomBytes: (length) => {
        this.chosen += 1;
        const bytes = new Uint8Array(length);
        bytes[length - 1] = this.chosen % 256;
        bytes[length - 2] = this.chosen >> 8;
        return bytes;
      },
      later: (ms, work) => {
        const timer = { at: this.time + ms, work };
        this.timers.add(timer);
        return () => this.timers.delete(timer);
      },
      onWake: (wake) => {
        this.wake = wake;
        return () => undefined;
      },
      keepStorage: () => {
        this.kept += 1;
      },
    };
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("no socket was opened");
    return socket;
  }

  /** Time passes; timers run in order. With `late` they all run at its end, as in a page in the background. */
  pass(ms: number, late = false): void {
    const end = this.time + ms;
    if (late) this.time = end;
    for (;;) {
      const due = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers.delete(due);
      this.time = Math.max(this.time, due.at);
      due.work();
    }
    this.time = end;
  }

  private channel(): Channel {
    const channel: Channel = {
      onmessage: null,
      post: (message) => {
        const copy = structuredClone(message);
        for (const other of this.channels) if (other !== channel) other.onmessage?.(copy);
      },
      close: () => this.channels.delete(channel),
    };
    this.channels.add(channel);
    return channel;
  }

  private readonly locked: Locked = async (name, _signal, work) => {
    const before = this.tails.get(name) ?? Promise.resolve();
    const run = before.then(work);
    this.tails.set(
      name,
      run.catch(() => undefined),
    );
    return await run;
  };
}

/** Wait until it is true: turns of the event loop pass, no time. */
export async function soon(look: () => unknown): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (look()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`not soon: ${look}`);
}
