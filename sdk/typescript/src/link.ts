/**
 * One WebSocket to the server. Knows how to open, write, close it and when it is dead; not what frames mean.
 *
 * Pages do not see pings. So after some silence it sends an empty frame, which every server answers; without an answer the
 * connection counts as lost, though the network says nothing.
 */

import type { Limits } from "./catalogue.js";
import type { Platform, Socket } from "./platform/platform.js";
import { PROBE } from "./wire.js";

export const SUBPROTOCOL = "iris.v1.pb";
export const EARLY = "iris.v1.pb.early"; // the same, by a server that has taken the Hello of the upgrade
export const EARLY_HELLO = "iris.early."; // and its bytes in base64url
export const EARLY_BYTES_MAX = 2048; // a longer Hello comes as a frame: heads of requests have a limit
const OPEN_TIMEOUT_MS = 15_000;
const CLOSE_NORMAL = 1000;
const ABNORMAL = 1006;

export interface LinkEvents {
  /** `greeted`: the server has taken the Hello of the upgrade. */
  opened(greeted: boolean): void;
  received(data: Uint8Array): void;
  /** Once; not after `close`. `code`: the server's close code, undefined when there was none. */
  lost(code: number | undefined): void;
}

export class Link {
  private readonly socket: Socket;
  private over = false;
  private heard = false; // a frame has come: there is a session, and probes may be sent
  private heardAt: number;
  private probedAt: number | undefined;
  private cancel: () => void;

  /** `hello`: the first message, to go with the upgrade. */
  constructor(
    url: string,
    private readonly platform: Platform,
    private readonly limits: Limits,
    private readonly events: LinkEvents,
    hello?: Uint8Array,
  ) {
    this.heardAt = platform.monotonic();
    this.cancel = platform.later(OPEN_TIMEOUT_MS, () => this.end(undefined));
    this.socket = platform.openSocket(url, offered(hello));
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.onOpen();
    this.socket.onmessage = ({ data }) => this.onMessage(data);
    this.socket.onclose = ({ code }) => this.end(code === ABNORMAL ? undefined : code);
    this.socket.onerror = () => undefined; // onclose follows
  }

  send(data: Uint8Array): void {
    if (!this.over) this.socket.send(data);
  }

  /** Close it; `lost` is not called. */
  close(code: number): void {
    this.over = true;
    this.cancel();
    this.socket.close(code);
  }

  /** The network may have changed: ask whether the server is still there. */
  probe(): void {
    if (this.over || !this.heard || this.probedAt !== undefined) return;
    this.probedAt = this.platform.monotonic();
    this.socket.send(PROBE);
    this.watch(this.answerMs);
  }

  private get answerMs(): number {
    return this.limits.idle_timeout_ms - this.limits.ping_interval_ms;
  }

  private onOpen(): void {
    if (this.over) return;
    const { protocol } = this.socket;
    if (protocol !== SUBPROTOCOL && protocol !== EARLY) {
      this.end(undefined); // not a server of ours
      return;
    }
    this.heardAt = this.platform.monotonic();
    this.watch(this.limits.idle_timeout_ms);
    this.events.opened(protocol === EARLY);
  }

  private onMessage(data: unknown): void {
    if (this.over || !(data instanceof ArrayBuffer)) return; // text is not of this protocol
    this.heardAt = this.platform.monotonic();
    this.probedAt = undefined;
    if (!this.heard) {
      this.heard = true;
      this.watch(this.limits.ping_interval_ms);
    }
    this.events.received(new Uint8Array(data));
  }

  private watch(ms: number): void {
    this.cancel();
    this.cancel = this.platform.later(Math.max(0, ms), () => this.look());
  }

  /** Timers may come late (a page in the background, a machine that slept): only an unanswered probe tells. */
  private look(): void {
    const now = this.platform.monotonic();
    if (!this.heard) {
      this.end(undefined); // no Welcome
    } else if (this.probedAt !== undefined) {
      const left = this.probedAt + this.answerMs - now;
      if (left > 0) this.watch(left);
      else this.end(undefined);
    } else {
      const left = this.heardAt + this.limits.ping_interval_ms - now;
      if (left > 0) this.watch(left);
      else this.probe();
    }
  }

  private end(code: number | undefined): void {
    if (this.over) return;
    this.close(CLOSE_NORMAL);
    this.events.lost(code);
  }
}

/** The subprotocols to offer; pages can put nothing else into the upgrade. */
function offered(hello: Uint8Array | undefined): string[] {
  if (hello === undefined || hello.length > EARLY_BYTES_MAX) return [SUBPROTOCOL];
  const text = btoa(String.fromCharCode(...hello));
  const urlSafe = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return [SUBPROTOCOL, EARLY, EARLY_HELLO + urlSafe];
}
