/**
 * What the SDK takes from the world it runs in: clock, chance, sockets, locks between tabs. `browserPlatform()` and
 * `nodePlatform()` make it; a test passes its own. IndexedDB is the global one.
 */

/** A WebSocket, as browsers have it. */
export interface Socket {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number): void;
}

/** Messages between the tabs of one profile. */
export interface Channel {
  post(message: unknown): void;
  onmessage: ((message: unknown) => void) | null;
  close(): void;
}

/** Runs `work` while no other tab runs anything under this name. Ends with the tab. */
export type Locked = <T>(name: string, signal: AbortSignal | undefined, work: () => Promise<T>) => Promise<T>;

export interface Platform {
  /** For Hello and the operator's eyes: "iris-web/0.1". */
  readonly clientName: string;
  readonly fetch: typeof globalThis.fetch;
  /** Offers these subprotocols; the one that the server took is the socket's `protocol`. */
  openSocket(url: string, protocols: string[]): Socket;
  openChannel(name: string): Channel;
  readonly locked: Locked;
  /** The wall clock, ms since 1970. */
  now(): number;
  /** A clock that never goes back, ms. */
  monotonic(): number;
  /** 0 <= random < 1. */
  random(): number;
  randomBytes(length: number): Uint8Array;
  /** Calls `work` once after `ms`; returns what takes that back. */
  later(ms: number, work: () => void): () => void;
  /** Calls `wake` when the network has changed or the page is in front again; returns what ends that. */
  onWake(wake: () => void): () => void;
  /** Asks that the profile is not thrown away when the disk is short of room. */
  keepStorage(): void;
}
