/** Letting a new device in: the code that this device shows, until it is used or over; and what a link to this page says. */

import type { Device, IrisClient } from "@iris-im/sdk";
import { computed, signal } from "@preact/signals-core";
import type { Ports } from "./ports.js";
import { errorText } from "./words.js";

const LOOK_MS = 2_000; // between two looks for the new device
const LINK = /^link=@?([A-Za-z0-9_.]{3,32})\.([A-Za-z0-9-]{8,9})(?:&|$)/;

export interface ShownCode {
  readonly code: string;
  /** https://chat.example.org/#link=ada.7K3M-9QXT */
  readonly link: string;
  /** By this device's clock. */
  readonly endsAt: number;
}

export interface OpenedLink {
  readonly handle: string;
  readonly code: string;
}

/** What the part of an address behind `#` says, when it is a link that lets a device in. */
export function parseLink(path: string): OpenedLink | undefined {
  const [, handle, code] = LINK.exec(path) ?? [];
  return handle === undefined || code === undefined ? undefined : { handle: handle.toLowerCase(), code };
}

/** `shown` is undefined while there is no code. Devices that are found go to `found`. */
export class LinkingModel {
  readonly shown = signal<ShownCode | undefined>(undefined);
  /** The devices that were linked while the code was shown. */
  readonly linked = signal<readonly Device[]>([]);
  readonly over = signal(false);
  readonly busy = signal(false);
  readonly failure = signal("");
  /** Whole ones: the server tells its time without parts of a second, and more than it lasts is not promised. */
  readonly secondsLeft = computed(() =>
    Math.max(0, Math.floor(((this.shown.value?.endsAt ?? 0) - this.now.value) / 1000)),
  );
  private readonly now = signal(0);
  private known: ReadonlySet<number> = new Set();
  private cancel: () => void = () => {};
  /** Rises with every start and stop: what an earlier one still waits for is nobody's any more. */
  private turn = 0;

  constructor(
    private readonly client: IrisClient,
    private readonly ports: Ports,
    private readonly found: (devices: Device[]) => void,
  ) {}

  /** Show a new code; the one before it is void. */
  async start(): Promise<void> {
    this.stop();
    const turn = this.turn;
    this.busy.value = true;
    try {
      this.known = new Set((await this.client.api.devices()).map((one) => one.device));
      const { code, expiresAt, serverTime } = await this.client.api.linkCode();
      if (turn !== this.turn) return;
      const now = this.ports.now();
      this.now.value = now;
      const link = `${this.ports.origin}/#link=${this.client.handle}.${code}`;
      this.shown.value = { code, link, endsAt: serverTime === 0 ? expiresAt : now + expiresAt - serverTime };
      this.tick(turn, now);
    } catch (error) {
      if (turn === this.turn) this.failure.value = errorText(error);
    } finally {
      this.busy.value = false;
    }
  }

  /** Show nothing any more. */
  stop(): void {
    this.turn += 1;
    this.cancel();
    this.shown.value = undefined;
    this.linked.value = [];
    this.over.value = false;
    this.failure.value = "";
  }

  private tick(turn: number, lookedAt: number): void {
    if (turn !== this.turn || this.shown.value === undefined) return;
    const now = this.ports.now();
    this.now.value = now;
    if (now >= this.shown.value.endsAt) {
      this.shown.value = undefined;
      this.over.value = true;
    }
    const looks = now - lookedAt >= LOOK_MS || this.over.value;
    if (looks) void this.look(turn);
    if (!this.over.value) this.cancel = this.ports.later(1_000, () => this.tick(turn, looks ? now : lookedAt));
  }

  private async look(turn: number): Promise<void> {
    try {
      const devices = await this.client.api.devices();
      if (turn !== this.turn) return;
      this.found(devices);
      const fresh = devices.filter((one) => !this.known.has(one.device));
      if (fresh.length === 0) return;
      this.cancel();
      this.linked.value = fresh;
      this.shown.value = undefined;
      this.over.value = false;
    } catch {
      // Not told: the code on the screen stays good, and the next look is soon.
    }
  }
}
