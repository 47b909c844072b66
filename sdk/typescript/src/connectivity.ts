/**
 * The one connection of a profile, whichever tab holds it. The tab that gets the lock runs the core; the others ask it through
 * the channel and hear what it sees. When it ends, the browser gives the lock to the next one.
 */

import type { Address } from "./address.js";
import type { Limits } from "./catalogue.js";
import type { Id } from "./core/frames.js";
import type { State } from "./core/lifecycle.js";
import type { Connection, ConnectionState, Event, Presence } from "./events.js";
import { Holder, type Seen } from "./holder.js";
import type { Platform } from "./platform/platform.js";
import { nameOf } from "./present.js";
import type { ProfileStore } from "./store/store.js";
import { lockNames, type TabMessage, Tabs, Watched } from "./tabs.js";
import type { TokenKeeper } from "./tokens.js";

const PRESENCE_MAX = 1024; // users whose presence is remembered; above it the one told longest ago goes
const TYPING_MAX = 1024; // conversations in which somebody types; above it the one told longest ago goes
const STATUS: Readonly<Record<number, Presence["status"]>> = { 2: "offline", 3: "online" };
const OFFLINE: Connection = { state: "offline", reason: "", done: 0, total: 0, retryAt: 0 };
const STATES: Readonly<Record<State, ConnectionState>> = {
  offline: "offline",
  waiting: "offline",
  authorising: "connecting",
  connecting: "connecting",
  greeting: "connecting",
  catching_up: "catching_up",
  live: "live",
  closed: "closed",
};

export interface ConnectivityParts {
  readonly store: ProfileStore;
  readonly tokens: TokenKeeper;
  readonly platform: Platform;
  readonly address: Address;
  readonly limits: Limits;
  readonly profile: string;
}

export interface ConnectivityEvents {
  tell(event: Event): void;
  /** Rows were committed, here or in another tab. */
  committed(): void;
  /** The profile can no longer be written. */
  failed(error: Error): void;
}

export class Connectivity {
  connection: Connection = OFFLINE;
  readonly presence = new Map<string, Presence>();
  private readonly typing = new Map<Id, Map<Id, string>>();
  private readonly tabs: Tabs;
  private readonly watched = new Watched();
  private mine: readonly Id[] = [];
  private holder: Holder | undefined;
  private readonly letGo = new AbortController();
  private held: Promise<void> | undefined;
  private release: () => void = () => undefined;
  private endWake: () => void = () => undefined;

  constructor(
    private readonly parts: ConnectivityParts,
    private readonly events: ConnectivityEvents,
  ) {
    this.tabs = new Tabs(parts.platform, parts.profile, (message) => this.hear(message));
  }

  get holds(): boolean {
    return this.holder !== undefined;
  }

  get payloadBytesMax(): number {
    return this.holder?.core.payloadBytesMax ?? this.parts.limits.payload_bytes_max;
  }

  typingIn(conversation: Id): string[] {
    return [...(this.typing.get(conversation)?.values() ?? [])];
  }

  /** Wait for the lock; then connect, and stay connected. */
  start(): void {
    this.endWake = this.parts.platform.onWake(() => this.wake());
    this.tabs.post({ kind: "arrived" });
    const { hold } = lockNames(this.parts.profile);
    this.held = this.parts.platform
      .locked(hold, this.letGo.signal, () => this.hold())
      .catch((error) => {
        if (!this.letGo.signal.aborted) this.events.failed(error);
      });
  }

  /** Close the connection and hand it to another tab. */
  async stop(): Promise<void> {
    this.endWake();
    this.letGo.abort(new DOMException("closed", "AbortError"));
    this.release();
    await this.held;
    this.tabs.post({ kind: "watch", tab: this.tabs.me, users: [] });
    this.tabs.close();
  }

  // --- what the client asks ---

  /** This tab has committed rows. */
  committed(): void {
    this.tabs.post({ kind: "committed" });
    this.holder?.sync();
  }

  read(conversation: Id, seq: number): void {
    this.committed();
    if (this.holder !== undefined) this.holder.wantRead(conversation, seq);
    else this.tabs.post({ kind: "read", conversation, seq });
  }

  setTyping(conversation: Id, active: boolean): void {
    if (this.holder !== undefined) this.holder.setTyping(conversation, active);
    else this.tabs.post({ kind: "set_typing", conversation, active });
  }

  watch(users: readonly Id[]): void {
    this.mine = users;
    this.watched.set(this.tabs.me, users);
    if (this.holder !== undefined) this.holder.watch(this.watched.all());
    else this.tabs.post({ kind: "watch", tab: this.tabs.me, users });
  }

  wake(): void {
    if (this.holder !== undefined) this.holder.wake();
    else this.tabs.post({ kind: "wake" });
  }

  post(message: TabMessage): void {
    this.tabs.post(message);
  }

  /** The profile is gone. */
  close(reason: string): void {
    this.enter({ ...OFFLINE, state: "closed", reason });
  }

  // --- holding ---

  private async hold(): Promise<void> {
    if (this.letGo.signal.aborted) return;
    const over = new Promise<void>((resolve) => {
      this.release = resolve;
    });
    const { store, tokens, platform, address, limits } = this.parts;
    const holder = await Holder.open(store, tokens, platform, address, limits, {
      committed: () => {
        this.tabs.post({ kind: "committed" });
        this.events.committed();
        this.progress();
        this.holder?.sync();
      },
      saw: (seen) => this.saw(seen),
      failed: (error) => this.events.failed(error),
    });
    if (this.letGo.signal.aborted) return;
    this.holder = holder;
    this.tabs.post({ kind: "holder" });
    holder.watch(this.watched.all());
    holder.start();
    holder.catchUp();
    await over;
    await holder.stop();
    this.holder = undefined;
  }

  private saw(seen: Seen): void {
    if ("state" in seen) {
      const { state, reason } = seen.state;
      this.publish({ ...this.connection, state: STATES[state], reason });
    } else if ("presence_seen" in seen) {
      const { user, status, last_seen } = seen.presence_seen;
      const presence = { user: nameOf(user), status: STATUS[status] ?? "hidden", lastSeen: last_seen };
      this.tabs.post({ kind: "presence", presence });
      this.onPresence(presence);
    } else {
      this.tabs.post({ kind: "typing", ...seen.typing_seen });
      this.onTyping(seen.typing_seen);
    }
  }

  private progress(): void {
    if (this.connection.state === "catching_up") this.publish(this.connection);
  }

  /** The connection with the numbers that the core has now. */
  private publish(connection: Connection): void {
    const { platform } = this.parts;
    const due = this.holder?.retryAt;
    const retryAt = due === undefined ? 0 : Math.round(platform.now() + due - platform.monotonic());
    const catching = connection.state === "catching_up";
    const { done, total } = (catching && this.holder?.core.catchUp) || OFFLINE;
    const now = { ...connection, done, total, retryAt };
    this.tabs.post({ kind: "connection", connection: now });
    this.enter(now);
  }

  // --- in every tab ---

  private enter(connection: Connection): void {
    const before = this.connection;
    this.connection = connection;
    this.events.tell({ kind: "connection", connection });
    const session = ({ state }: Connection) => state === "catching_up" || state === "live";
    if (session(before) && !session(connection)) this.forgetSignals();
  }

  /** Without a connection nobody can be said to be online, or to type. */
  private forgetSignals(): void {
    for (const [conversation, senders] of [...this.typing]) {
      for (const sender of [...senders.keys()]) this.onTyping({ conversation, sender, active: false });
    }
    const known = [...this.presence.values()];
    this.presence.clear();
    for (const { user, lastSeen } of known) {
      this.events.tell({ kind: "presence", presence: { user, status: "hidden", lastSeen } });
    }
  }

  private onPresence(presence: Presence): void {
    this.presence.delete(presence.user);
    this.presence.set(presence.user, presence);
    if (this.presence.size > PRESENCE_MAX) {
      for (const [longest] of this.presence) {
        this.presence.delete(longest);
        break;
      }
    }
    this.events.tell({ kind: "presence", presence });
  }

  private onTyping({ conversation, sender, active }: { conversation: Id; sender: Id; active: boolean }): void {
    const senders = this.typing.get(conversation) ?? new Map<Id, string>();
    if (active) senders.set(sender, nameOf(sender));
    else senders.delete(sender);
    this.typing.delete(conversation);
    if (senders.size > 0) this.typing.set(conversation, senders);
    if (this.typing.size > TYPING_MAX) {
      for (const [longest] of this.typing) {
        this.typing.delete(longest);
        break;
      }
    }
    this.events.tell({ kind: "typing", conversation, sender: nameOf(sender), active });
  }

  private hear(message: TabMessage): void {
    switch (message.kind) {
      case "committed":
        this.holder?.sync();
        this.events.committed();
        break;
      case "connection":
        if (this.holder === undefined) this.enter(message.connection);
        break;
      case "presence":
        if (this.holder === undefined) this.onPresence(message.presence);
        break;
      case "typing":
        if (this.holder === undefined) this.onTyping(message);
        break;
      case "profile":
        this.events.tell({ kind: "profile", profile: message.profile });
        break;
      case "holder":
        this.tabs.post({ kind: "watch", tab: this.tabs.me, users: this.mine });
        break;
      default:
        if (this.holder !== undefined) this.hearAsHolder(this.holder, message);
    }
  }

  private hearAsHolder(holder: Holder, message: TabMessage): void {
    if (message.kind === "arrived") {
      this.tabs.post({ kind: "connection", connection: this.connection });
      for (const presence of this.presence.values()) this.tabs.post({ kind: "presence", presence });
    } else if (message.kind === "watch") {
      this.watched.set(message.tab, message.users);
      holder.watch(this.watched.all());
    } else if (message.kind === "set_typing") {
      holder.setTyping(message.conversation, message.active);
    } else if (message.kind === "read") {
      holder.wantRead(message.conversation, message.seq);
    } else if (message.kind === "wake") {
      holder.wake();
    }
  }
}
