/** A client in memory, of the SDK's interface. Tests only: it has no server, no storage and no rules of delivery. */

import {
  type Api,
  ApiError,
  type Connection,
  type Contact,
  type Conversation,
  comparePlaces,
  type Device,
  type Event,
  type IrisClient,
  type Listener,
  type Me,
  type Message,
  Offline,
  type Page,
  type Place,
  type Presence,
  type Profile,
  type Reference,
  type SearchOptions,
  type Sent,
  type TextContent,
} from "@iris-im/sdk";

export const ADA = "0000000000000000000000000a";
export const BOB = "0000000000000000000000000b";
export const CARL = "0000000000000000000000000c";
const HEX = (user: string) => user.charCodeAt(25).toString(16).padStart(32, "0");

type Local = { mutedUntil: number; pinned: boolean; archived: boolean; draft: string; readSeq: number };

export class FakeIris implements IrisClient {
  readonly user = ADA;
  readonly handle = "ada";
  readonly device = 1;
  readonly server = "http://127.0.0.1:8460";
  readonly holdsConnection = true;
  connection: Connection = { state: "live", reason: "", done: 0, total: 0, retryAt: 0 };
  offline = false;
  /** The next send fails with this. */
  failure: Error | undefined;
  readonly typed: [string, boolean][] = [];
  readonly reads: [string, number][] = [];
  watched: readonly string[] = [];
  pages = 0;
  loggedOut = false;
  gapsThere: readonly number[] = [];
  readonly people = new Map<string, Profile>([
    [ADA, { user: ADA, handle: "ada", name: "Ada" }],
    [BOB, { user: BOB, handle: "bob", name: "Bob" }],
    [CARL, { user: CARL, handle: "carl", name: "" }],
  ]);
  readonly contactsThere = new Map<string, Contact>();
  readonly blocksThere = new Set<string>();
  me: Me = {
    user: ADA,
    handle: "ada",
    name: "Ada",
    createdAt: 1,
    privacy: { presence: "everyone", messages: "everyone", readReceipts: true },
  };
  devicesThere: Device[] = [];
  codes = 0;
  private readonly settings = new Map<string, unknown>();
  private readonly history = new Map<string, Message[]>();
  private readonly local = new Map<string, Local>();
  private readonly listeners = new Set<Listener>();
  private count = 0;

  constructor(private readonly now: () => number) {}

  // --- what tests do ---

  emit(event: Event): void {
    for (const one of this.listeners) one(event);
  }

  /** Somebody writes. Nothing is told when `quiet`. */
  arrive(from: string, text: string, at = this.now(), quiet = false): Message {
    const message = this.made(this.conversationWith(from), from, text, at, "");
    if (!quiet) this.tell(message.conversation, [message], []);
    return message;
  }

  change(message: Message, change: Partial<Message>): Message {
    const all = this.history.get(message.conversation) ?? [];
    const changed = { ...message, ...change };
    all[all.findIndex((one) => one.messageId === message.messageId)] = changed;
    this.tell(message.conversation, [], [changed]);
    return changed;
  }

  connect(connection: Partial<Connection>): void {
    this.connection = { ...this.connection, ...connection };
    this.emit({ kind: "connection", connection: this.connection });
  }

  private made(conversation: string, sender: string, text: string, at: number, state: Message["state"]): Message {
    this.count += 1;
    const own = sender === this.user;
    const messageId = this.count.toString(16).padStart(32, "0");
    const message: Message = {
      messageId,
      conversation,
      sender,
      device: 1,
      own,
      at,
      seq: own ? 0 : this.count,
      state,
      code: "",
      body: { kind: "text", text, mentions: [], reply: undefined, forwarded: false },
      editedAt: 0,
      reactions: [],
      place: { at, sender, messageId },
    };
    const all = this.history.get(conversation) ?? [];
    all.push(message);
    const before = all.at(-2);
    if (before !== undefined && comparePlaces(before.place, message.place) > 0) {
      all.sort((one, other) => comparePlaces(one.place, other.place));
    }
    this.history.set(conversation, all);
    return message;
  }

  private tell(conversation: string, added: Message[], changed: Message[]): void {
    this.emit({ kind: "messages", conversation, added, changed });
    this.emit({ kind: "conversation", conversation: this.line(conversation) });
  }

  private localOf(conversation: string): Local {
    let found = this.local.get(conversation);
    if (found === undefined) {
      found = { mutedUntil: 0, pinned: false, archived: false, draft: "", readSeq: 0 };
      this.local.set(conversation, found);
    }
    return found;
  }

  private line(conversation: string): Conversation {
    const all = this.history.get(conversation) ?? [];
    const local = this.localOf(conversation);
    const last = all.at(-1);
    return {
      conversation,
      peer: this.peerOf(conversation),
      lastAt: last?.at ?? 0,
      unread: all.filter((one) => !one.own && one.seq > local.readSeq).length,
      last,
      ...local,
    };
  }

  // --- the interface ---

  async close(): Promise<void> {}
  reconnect(): void {
    this.connect({ state: "connecting" });
  }
  async logOut(): Promise<void> {
    if (this.offline) throw new Offline();
    this.loggedOut = true;
  }
  async waiting(): Promise<number> {
    return [...this.history.values()].flat().filter((one) => one.state === "queued").length;
  }
  on(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  events(): AsyncIterableIterator<Event> {
    throw new Error("not for these tests");
  }
  async send(to: string, content: string | TextContent): Promise<Sent> {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    const conversation = to.length === 64 ? to : this.conversationWith(to);
    const text = typeof content === "string" ? content : content.text;
    const message = this.made(conversation, this.user, text, this.now(), "queued");
    if (typeof content !== "string") {
      Object.assign(message, {
        body: {
          ...message.body,
          mentions: content.mentions ?? [],
          reply: content.reply,
          forwarded: content.forwarded ?? false,
        },
      });
    }
    this.localOf(conversation).draft = "";
    this.tell(conversation, [message], []);
    return { messageId: message.messageId };
  }
  async react(): Promise<Sent> {
    return { messageId: "" };
  }
  async edit(target: Reference & { conversation: string }, content: string | TextContent): Promise<Sent> {
    const message = await this.message(target);
    if (message?.body.kind === "text") {
      const text = typeof content === "string" ? content : content.text;
      const mentions = typeof content === "string" ? [] : (content.mentions ?? []);
      this.change(message, { body: { ...message.body, text, mentions }, editedAt: this.now() });
    }
    return { messageId: "" };
  }
  async deleteForEveryone(target: Reference & { conversation: string }): Promise<Sent> {
    const message = await this.message(target);
    if (message !== undefined) this.change(message, { body: { kind: "deleted" } });
    return { messageId: "" };
  }
  async deleteForMe(target: Reference & { conversation: string }): Promise<void> {
    const all = this.history.get(target.conversation) ?? [];
    this.history.set(
      target.conversation,
      all.filter((one) => one.messageId !== target.messageId),
    );
    this.emit({ kind: "removed", conversation: target.conversation, messageIds: [target.messageId] });
  }
  async sendAgain(): Promise<Sent> {
    return { messageId: "" };
  }
  async conversations(): Promise<Conversation[]> {
    return [...new Set([...this.history.keys(), ...this.local.keys()])].map((one) => this.line(one));
  }
  async conversation(of: string): Promise<Conversation> {
    return this.line(of);
  }
  async messages(
    conversation: string,
    options: { before?: Place; after?: Place; around?: Place; limit?: number } = {},
  ): Promise<Page> {
    this.pages += 1;
    const all = this.history.get(conversation) ?? [];
    const limit = options.limit ?? 50;
    let from = Math.max(0, all.length - limit);
    let to = all.length;
    const indexOf = (place: Place) => all.findIndex((one) => comparePlaces(one.place, place) >= 0);
    if (options.before !== undefined) {
      to = indexOf(options.before);
      from = Math.max(0, to - limit);
    } else if (options.after !== undefined) {
      from = indexOf(options.after) + 1;
      to = Math.min(all.length, from + limit);
    } else if (options.around !== undefined) {
      from = Math.max(0, indexOf(options.around) - Math.floor(limit / 2));
      to = Math.min(all.length, from + limit);
    }
    return { messages: all.slice(from, to), moreBefore: from > 0, moreAfter: to < all.length };
  }
  async message(reference: Reference): Promise<Message | undefined> {
    return [...this.history.values()].flat().find((one) => one.messageId === reference.messageId);
  }
  async firstUnread(conversation: string): Promise<Message | undefined> {
    const { readSeq } = this.localOf(conversation);
    return (this.history.get(conversation) ?? []).find((one) => !one.own && one.seq > readSeq);
  }
  async search(text: string, options: SearchOptions = {}): Promise<Message[]> {
    const all = options.conversation
      ? (this.history.get(options.conversation) ?? [])
      : [...this.history.values()].flat();
    return all.filter((one) => one.body.kind === "text" && one.body.text.includes(text)).reverse();
  }
  async markRead(conversation: string, given?: number): Promise<void> {
    const seq = given ?? Math.max(0, ...(this.history.get(conversation) ?? []).map((one) => one.seq));
    this.reads.push([conversation, seq]);
    const local = this.localOf(conversation);
    local.readSeq = Math.max(local.readSeq, seq);
    this.emit({ kind: "conversation", conversation: this.line(conversation) });
  }
  async gaps(): Promise<readonly number[]> {
    return this.gapsThere;
  }
  setTyping(conversation: string, active: boolean): void {
    this.typed.push([conversation, active]);
  }
  watch(users: Iterable<string>): void {
    this.watched = [...users];
  }
  presence(): Presence | undefined {
    return undefined;
  }
  typing(): readonly string[] {
    return [];
  }
  async resolve(who: string): Promise<string> {
    if (this.offline) throw new Offline();
    const found = [...this.people.values()].find((one) => `@${one.handle}` === who);
    if (found === undefined) throw new ApiError("UNKNOWN_USER", { code: 1007, status: 404 });
    return found.user;
  }
  conversationWith(user: string): string {
    return [HEX(this.user), HEX(user)].sort().join("");
  }
  peerOf(conversation: string): string {
    return [...this.people.keys()].find((user) => user !== this.user && conversation.includes(HEX(user))) ?? BOB;
  }
  async profile(user: string): Promise<Profile | undefined> {
    return this.people.get(user);
  }
  async setDraft(conversation: string, text: string): Promise<void> {
    await this.setLocal(conversation, { draft: text });
  }
  async mute(conversation: string, until: number): Promise<void> {
    await this.setLocal(conversation, { mutedUntil: until });
  }
  async pin(conversation: string, pinned: boolean): Promise<void> {
    await this.setLocal(conversation, { pinned });
  }
  async archive(conversation: string, archived: boolean): Promise<void> {
    await this.setLocal(conversation, { archived });
  }
  async setting(name: string): Promise<unknown> {
    return this.settings.get(name);
  }
  async setSetting(name: string, value: unknown): Promise<void> {
    this.settings.set(name, value);
  }
  private async setLocal(conversation: string, change: Partial<Local>): Promise<void> {
    Object.assign(this.localOf(conversation), change);
    this.emit({ kind: "conversation", conversation: this.line(conversation) });
  }

  readonly api: Api = fakeApi(this);
}

function fakeApi(iris: FakeIris): Api {
  const there = <T>(work: () => T) => {
    return async () => {
      if (iris.offline) throw new Offline();
      return work();
    };
  };
  const never = async (): Promise<never> => {
    throw new Error("not for these tests");
  };
  return {
    info: there(() => ({ version: "0.1.0", registration: "open" as const, protocols: [] })),
    register: never,
    logIn: never,
    refresh: never,
    logOut: never,
    logOutAll: there(() => undefined),
    devices: there(() => [...iris.devicesThere]),
    linkCode: there(() => {
      iris.codes += 1;
      const code = `7K3M-9QX${iris.codes}`;
      return { code, expiresAt: 1_000_000 + 300_000, serverTime: 1_000_000 }; // its clock is another one
    }),
    unlink: (device) =>
      there(() => {
        iris.devicesThere = iris.devicesThere.filter((one) => one.device !== device);
      })(),
    me: there(() => iris.me),
    updateMe: (change) =>
      there(() => {
        iris.me = { ...iris.me, ...change, privacy: { ...iris.me.privacy, ...change.privacy } };
        return iris.me;
      })(),
    deleteMe: there(() => undefined),
    changePassword: async (old) => {
      if (old !== "right") throw new ApiError("CREDENTIALS_WRONG", { status: 403 });
    },
    contacts: there(() => [...iris.contactsThere.values()]),
    putContact: (user, name = "") =>
      there(() => {
        iris.contactsThere.set(user, { user, name, addedAt: 1 });
      })(),
    deleteContact: (user) => there(() => void iris.contactsThere.delete(user))(),
    blocks: there(() => [...iris.blocksThere]),
    block: (user) => there(() => void iris.blocksThere.add(user))(),
    unblock: (user) => there(() => void iris.blocksThere.delete(user))(),
    user: never,
    handle: never,
  };
}
