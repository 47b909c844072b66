/**
 * Drives a ClientCore in the tab that holds the profile: its effects become commits, frames and tokens. The shell decides
 * nothing: it feeds the core and performs what it asks, in order.
 */

import type { Address } from "./address.js";
import type { Limits } from "./catalogue.js";
import { ClientCore } from "./core/client.js";
import type { Effect, SendMessage } from "./core/effects.js";
import type { ClientFrame, Hello, Id } from "./core/frames.js";
import { LoggedOut, ProfileError } from "./errors.js";
import { toHex } from "./ids.js";
import { Link, type LinkEvents } from "./link.js";
import type { Platform } from "./platform/platform.js";
import type { ProfileStore, Queued } from "./store/store.js";
import type { TokenKeeper } from "./tokens.js";
import { decodeFrame, encodeFrame, encodeSend } from "./wire.js";

const TURN_FRAMES = 64; // payloads read from the profile at once

/** What only matters now. */
export type Seen = Extract<Effect, { state: unknown } | { presence_seen: unknown } | { typing_seen: unknown }>;

export interface HolderEvents {
  /** Rows were committed. */
  committed(): void;
  saw(seen: Seen): void;
  /** The profile can no longer be written. */
  failed(error: Error): void;
}

type Outgoing = { send_frame: ClientFrame } | { send_message: SendMessage };

export class Holder {
  readonly core: ClientCore;
  private link: Link | undefined;
  private out: Outgoing[] = []; // no longer than what the core's windows allow
  private writing = false;
  private outboxSeen = 0;
  private syncing: Promise<void> | undefined;
  private syncAgain = false;
  private readonly running = new Set<Promise<void>>();
  private turning = false;
  private stopped = false;
  private cancelTimer: () => void = () => undefined;

  private constructor(
    private readonly name: string,
    private readonly user: Id,
    core: ClientCore,
    private readonly store: ProfileStore,
    private readonly tokens: TokenKeeper,
    private readonly platform: Platform,
    private readonly address: Address,
    private readonly limits: Limits,
    private readonly events: HolderEvents,
  ) {
    this.core = core;
  }

  static async open(
    store: ProfileStore,
    tokens: TokenKeeper,
    platform: Platform,
    address: Address,
    limits: Limits,
    events: HolderEvents,
  ): Promise<Holder> {
    const name = toHex(platform.randomBytes(16));
    const { saved, queued } = await store.hold(name);
    const core = new ClientCore(saved, limits, platform.clientName);
    const holder = new Holder(name, saved.user, core, store, tokens, platform, address, limits, events);
    holder.takeUp(queued);
    return holder;
  }

  start(): void {
    this.core.start();
    this.turn();
  }

  /** Take up what was asked for while this holder opened, when nobody could be told. */
  catchUp(): void {
    this.run(
      (async () => {
        await this.sync();
        for (const [conversation, seq] of await this.store.readsWanted()) this.wantRead(conversation, seq);
      })(),
    );
  }

  /** Take up what this or another tab has put into the outbox. */
  sync(): Promise<void> {
    this.syncAgain = true;
    this.syncing ??= this.syncRows()
      .catch((error) => this.fail(error))
      .finally(() => {
        this.syncing = undefined;
      });
    return this.syncing;
  }

  private async syncRows(): Promise<void> {
    while (this.syncAgain && !this.stopped) {
      this.syncAgain = false;
      this.takeUp(await this.store.outboxAfter(this.outboxSeen));
    }
  }

  private takeUp(rows: readonly Queued[]): void {
    const last = rows.at(-1);
    if (last === undefined || this.stopped) return;
    this.outboxSeen = last.id;
    const queued = rows.map((row): [Id, Id, boolean] => [row.conversation, row.message_id, row.answered]);
    this.core.queued(queued, this.platform.monotonic());
    this.turn();
  }

  /** The read position is wanted, and durable. */
  wantRead(conversation: Id, seq: number): void {
    this.core.wantRead(conversation, seq, this.platform.monotonic());
    this.turn();
  }

  setTyping(conversation: Id, active: boolean): void {
    this.core.setTyping(conversation, active);
    this.turn();
  }

  watch(users: readonly Id[]): void {
    this.core.watch(users.slice(0, this.core.watchesMax));
    this.turn();
  }

  /** The network may be back. */
  wake(): void {
    if (this.core.state === "waiting") this.start();
    else this.link?.probe();
  }

  /** When the next attempt is due, on the monotonic clock; undefined when none is planned. */
  get retryAt(): number | undefined {
    return this.core.state === "waiting" ? this.core.nextTimeout() : undefined;
  }

  /** Close the connection; what the core has taken is committed when this resolves. */
  async stop(): Promise<void> {
    this.core.stop();
    this.turn();
    await this.syncing;
    while (this.running.size > 0) await Promise.all(this.running);
    this.stopped = true;
    this.cancelTimer();
  }

  // --- the loop ---

  /** Perform what the core asks, then set the timer. */
  private turn(): void {
    if (this.turning || this.stopped) return;
    this.turning = true;
    try {
      for (let effect = this.core.poll(); effect !== undefined; effect = this.core.poll()) this.perform(effect);
    } finally {
      this.turning = false;
    }
    this.cancelTimer();
    const due = this.core.nextTimeout();
    if (due === undefined || this.stopped) return;
    this.cancelTimer = this.platform.later(Math.max(0, due - this.platform.monotonic()), () => {
      this.core.tick(this.platform.monotonic(), this.platform.random());
      this.turn();
    });
  }

  private perform(effect: Effect): void {
    if ("send_frame" in effect || "send_message" in effect) {
      this.out.push(effect);
      if (!this.writing) this.run(this.write());
    } else if ("commit" in effect) {
      this.run(this.commit(effect.commit));
    } else if ("need_token" in effect) {
      // Not waited for by `stop`: an answer that comes too late is asked for again, under the same nonce.
      this.fetchToken(effect.need_token.fresh).catch((error) => this.fail(error));
    } else if ("connect" in effect) {
      this.connect(effect.connect.hello);
    } else if ("close_connection" in effect) {
      this.link?.close(effect.close_connection.code);
      this.link = undefined;
      this.out = [];
    } else {
      this.events.saw(effect);
    }
  }

  private run(work: Promise<void>): void {
    const done = work.catch((error) => this.fail(error)).finally(() => this.running.delete(done));
    this.running.add(done);
  }

  private fail(error: unknown): void {
    if (this.stopped) return;
    this.stopped = true;
    this.cancelTimer();
    this.link?.close(1000);
    this.link = undefined;
    this.events.failed(error instanceof Error ? error : new ProfileError(String(error)));
  }

  // --- commits and tokens ---

  private async commit({ number, writes }: Extract<Effect, { commit: unknown }>["commit"]): Promise<void> {
    await this.store.apply(writes, this.name);
    if (this.stopped) return;
    this.core.committed(number, this.platform.monotonic());
    this.events.committed();
    this.turn();
  }

  private async fetchToken(fresh: boolean): Promise<void> {
    let token: string | undefined;
    let loggedOut = false;
    try {
      token = await this.tokens.access(fresh);
    } catch (error) {
      if (error instanceof ProfileError) throw error;
      loggedOut = error instanceof LoggedOut;
    }
    if (this.stopped) return;
    if (token !== undefined) this.core.token(token);
    else if (loggedOut) this.core.loggedOut();
    else this.core.tokenUnavailable(this.platform.monotonic(), this.platform.random());
    this.turn();
  }

  // --- the connection ---

  private connect(hello: Hello | null): void {
    this.out = [];
    const early = hello === null ? undefined : encodeFrame({ hello });
    try {
      this.link = this.openLink(early);
    } catch {
      this.lost(undefined); // the browser does not even try
    }
  }

  private lost(code: number | undefined): void {
    this.link = undefined;
    this.out = [];
    this.core.lost(code, this.platform.monotonic(), this.platform.random());
  }

  private openLink(hello: Uint8Array | undefined): Link {
    const events: LinkEvents = {
      opened: (greeted) => {
        if (link !== this.link) return;
        this.core.opened(greeted);
        this.turn();
      },
      received: (data) => {
        const frame = decodeFrame(data);
        if (link !== this.link || frame === undefined) return;
        this.core.receive(frame, this.platform.monotonic());
        this.turn();
      },
      lost: (code) => {
        if (link !== this.link) return;
        this.lost(code);
        this.turn();
      },
    };
    const link = new Link(this.address.connectUrl, this.platform, this.limits, events, hello);
    return link;
  }

  /** Write what waits, in order. Payloads are in the profile. */
  private async write(): Promise<void> {
    this.writing = true;
    try {
      while (this.out.length > 0 && this.link !== undefined) {
        const link = this.link;
        const part = this.out.splice(0, TURN_FRAMES);
        const sends = part.flatMap((one) => ("send_message" in one ? [one.send_message.message_id] : []));
        const payloads = sends.length > 0 ? await this.store.payloads(this.user, sends) : [];
        for (const one of part) {
          if ("send_frame" in one) {
            link.send(encodeFrame(one.send_frame));
            continue;
          }
          const payload = payloads.shift();
          if (payload !== undefined) link.send(encodeSend(one.send_message, payload));
        }
      }
    } finally {
      this.writing = false;
    }
  }
}
