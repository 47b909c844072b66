/** An open profile: IrisClient on the store, the connection and the API. See client.ts for what each method does. */

import type { Address } from "./address.js";
import type { Api } from "./api.js";
import { LIMITS, type Limits } from "./catalogue.js";
import type { IrisClient, OpenOptions, Page, SearchOptions, Sent } from "./client.js";
import { Connectivity } from "./connectivity.js";
import { type Action, encodeContent, type Text } from "./content/codec.js";
import type { Reference, TextContent } from "./content/content.js";
import type { Id } from "./core/frames.js";
import { ApiError, ClientClosed, IrisError, PayloadTooLarge, ProfileError } from "./errors.js";
import type {
  Connection,
  Conversation,
  Event,
  Listener,
  Message,
  Place,
  Presence,
  Profile,
  Unsubscribe,
} from "./events.js";
import { Feed } from "./feed.js";
import { HttpApi } from "./http.js";
import { directConversation, isConversation, toHex, userRaw, userText } from "./ids.js";
import { People } from "./people.js";
import type { Platform } from "./platform/platform.js";
import { compareConversations, conversationOf, messageOf, nameOf, refOf, spotOf, textOf } from "./present.js";
import { firstUnread, gaps, lines, newestSeq, one, page, plain, search } from "./store/read.js";
import { emptyConversation } from "./store/schema.js";
import type { LocalChange, ProfileStore } from "./store/store.js";
import { lockNames } from "./tabs.js";
import { TokenKeeper } from "./tokens.js";
import type { Payload } from "./wire.js";

const PAGE_MESSAGES = 50;
const SEARCH_MESSAGES = 50;
const MESSAGE_ID_BYTES = 16;
const LOST: readonly string[] = ["refused", "expired"];

type Target = Reference & { readonly conversation: string };

/** What the profile says about itself. */
export interface Identity {
  readonly user: Id;
  readonly handle: string;
  readonly device: number;
  readonly address: Address;
}

export class OpenClient implements IrisClient {
  readonly user: string;
  readonly handle: string;
  readonly device: number;
  readonly server: string;
  readonly api: Api;
  private readonly raw: Id;
  private readonly platform: Platform;
  private readonly limits: Limits;
  private readonly feed: Feed;
  private readonly people: People;
  private readonly connectivity: Connectivity;
  private closed: Promise<void> | undefined;

  /** `position`: from which number of the profile's line on events are told; `erase` deletes the closed profile. */
  constructor(
    options: OpenOptions,
    identity: Identity,
    private readonly store: ProfileStore,
    position: number,
    private readonly erase: () => Promise<void>,
  ) {
    const { platform, profile = "iris" } = options;
    const { address } = identity;
    this.platform = platform;
    this.limits = { ...LIMITS, ...options.limits };
    this.raw = identity.user;
    this.user = userText(identity.user);
    this.handle = identity.handle;
    this.device = identity.device;
    this.server = address.apiUrl;
    const { fetch } = platform;
    const tokens = new TokenKeeper(store, platform, new HttpApi(address, { fetch }), lockNames(profile).refresh);
    this.api = new HttpApi(address, { fetch, token: tokens.access, adopt: tokens.adopt });
    this.feed = new Feed(store, this.raw, position, (error) => this.fail(error));
    this.people = new People(store, this.api, platform, this.raw, (learned) => {
      this.connectivity.post({ kind: "profile", profile: learned });
      this.feed.tell({ kind: "profile", profile: learned });
    });
    const { limits } = this;
    this.connectivity = new Connectivity(
      { store, tokens, platform, address, limits, profile },
      {
        tell: (event) => this.feed.tell(event),
        committed: () => void this.feed.look(),
        failed: (error) => this.fail(error),
      },
    );
    if (options.hold !== false) this.connectivity.start();
  }

  get connection(): Connection {
    return this.connectivity.connection;
  }

  get holdsConnection(): boolean {
    return this.connectivity.holds;
  }

  // --- life ---

  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  private async end(): Promise<void> {
    await this.connectivity.stop();
    this.feed.close();
    this.store.close();
  }

  /** The profile was taken away or cannot be used: nothing more can be kept, so nothing more is done. */
  fail(error: unknown): void {
    if (this.closed !== undefined) return;
    const name = error instanceof IrisError ? error.name : ProfileError.name;
    this.connectivity.close(name);
    void this.close();
  }

  reconnect(): void {
    this.connectivity.wake();
  }

  async logOut(options: { readonly force?: boolean } = {}): Promise<void> {
    try {
      await this.api.logOut();
    } catch (error) {
      const gone = error instanceof IrisError && error.name === "LoggedOut";
      if (!gone && options.force !== true) throw error;
    }
    await this.close();
    await this.erase();
  }

  async waiting(): Promise<number> {
    return Number((await this.open.getMeta("waiting")) ?? 0);
  }

  /** The store; ClientClosed after `close`. */
  private get open(): ProfileStore {
    if (this.closed !== undefined) throw new ClientClosed("the client is closed");
    return this.store;
  }

  // --- events ---

  on(listener: Listener): Unsubscribe {
    return this.feed.on(listener);
  }

  events(): AsyncIterableIterator<Event> {
    return this.feed.events();
  }

  /** Rows of this tab are in the profile: everybody looks. */
  private committed(): void {
    this.connectivity.committed();
    void this.feed.look();
  }

  // --- sending ---

  send(to: string, content: string | TextContent): Promise<Sent> {
    return this.say(to, textOf(content));
  }

  react(target: Target, emoji: string): Promise<Sent> {
    return this.say(target.conversation, { kind: "reaction", target: refOf(target), emoji });
  }

  edit(target: Target, content: string | TextContent): Promise<Sent> {
    const { body, mentions } = textOf(content);
    return this.say(target.conversation, { kind: "edit", target: refOf(target), body, mentions });
  }

  deleteForEveryone(target: Target): Promise<Sent> {
    return this.say(target.conversation, { kind: "delete", target: refOf(target) });
  }

  async deleteForMe(target: Target): Promise<void> {
    const { sender, message_id } = refOf(target);
    await this.open.hide(sender, message_id);
    this.committed();
  }

  async sendAgain(target: Target): Promise<Sent> {
    const { sender, message_id } = refOf(target);
    const found = await one(this.open.db, sender, message_id);
    if (found === undefined || !LOST.includes(found.row.state)) {
      throw new RangeError("only a message that was refused or has expired is sent again");
    }
    const { conversation, payload, content_type, alg, wiped } = found.row;
    if (wiped !== undefined) throw new RangeError("its words were deleted");
    return await this.queue(conversation, { payload, content_type, alg }, "", message_id);
  }

  private async say(to: string, said: Text | Action): Promise<Sent> {
    const payload = encodeContent(said);
    const most = this.connectivity.payloadBytesMax;
    const size = payload.payload.length;
    if (size > most) throw new PayloadTooLarge(`${size} bytes; the limit is ${most}`);
    return await this.queue(this.toConversation(to), payload, said.kind === "text" ? said.body : "", undefined);
  }

  private async queue(conversation: Id, payload: Payload, draft: string, replaces: Id | undefined): Promise<Sent> {
    const messageId = toHex(this.platform.randomBytes(MESSAGE_ID_BYTES));
    const given = { conversation, message_id: messageId, at: this.platform.now(), payload, draft, replaces };
    await this.open.enqueue(given, this.limits.outbox_messages_max);
    this.committed();
    return { messageId };
  }

  private toConversation(to: string): Id {
    if (isConversation(to)) {
      this.people.peer(to);
      return to;
    }
    const peer = userRaw(to);
    if (peer === this.raw) throw new ApiError("SELF", { code: 1008, status: 409, detail: "that is you" });
    return directConversation(this.raw, peer);
  }

  // --- history ---

  async conversations(): Promise<Conversation[]> {
    const found = await lines(this.open.db);
    return found
      .filter(({ row, last }) => last !== undefined || row.draft !== "")
      .map((line) => conversationOf(line, this.raw))
      .sort(compareConversations);
  }

  async conversation(of: string): Promise<Conversation> {
    const conversation = this.toConversation(of);
    const [line] = await lines(this.open.db, [conversation]);
    return conversationOf(line ?? { row: emptyConversation(conversation), unread: 0, last: undefined }, this.raw);
  }

  async messages(
    conversation: string,
    options: { before?: Place; after?: Place; around?: Place; limit?: number } = {},
  ): Promise<Page> {
    const { before, after, around, limit = PAGE_MESSAGES } = options;
    const spot = (place: Place | undefined) => (place === undefined ? undefined : spotOf(place));
    const where = { before: spot(before), after: spot(after), around: spot(around) };
    const found = await page(this.open.db, conversation, where, limit);
    return { ...found, messages: found.messages.map(messageOf) };
  }

  async message(reference: Reference): Promise<Message | undefined> {
    const { sender, message_id } = refOf(reference);
    const found = await one(this.open.db, sender, message_id);
    return found === undefined ? undefined : messageOf(found);
  }

  async firstUnread(conversation: string): Promise<Message | undefined> {
    const found = await firstUnread(this.open.db, conversation);
    return found === undefined ? undefined : messageOf(found);
  }

  async search(text: string, options: SearchOptions = {}): Promise<Message[]> {
    const words = plain(text).split(/\s+/).filter(Boolean);
    if (words.length === 0) return [];
    const { conversation, limit = SEARCH_MESSAGES } = options;
    const before = options.before === undefined ? undefined : spotOf(options.before);
    const all = () => this.open.db.getAllKeys("conversations");
    const conversations = conversation === undefined ? await all() : [conversation];
    return (await search(this.open.db, words, { conversations, before }, limit)).map(messageOf);
  }

  gaps(): Promise<readonly number[]> {
    return gaps(this.open.db);
  }

  // --- read, typing, presence ---

  async markRead(conversation: string, seq?: number): Promise<void> {
    const upto = seq ?? (await newestSeq(this.open.db, conversation));
    if (upto === 0 || !(await this.open.wantRead(conversation, upto))) return;
    this.connectivity.read(conversation, upto);
    void this.feed.look();
  }

  setTyping(conversation: string, active: boolean): void {
    this.connectivity.setTyping(conversation, active);
  }

  watch(users: Iterable<string>): void {
    this.connectivity.watch([...users].map(userRaw));
  }

  presence(user: string): Presence | undefined {
    return this.connectivity.presence.get(user);
  }

  typing(conversation: string): readonly string[] {
    return this.connectivity.typingIn(conversation);
  }

  // --- people ---

  async resolve(who: string): Promise<string> {
    return nameOf(await this.people.resolve(who));
  }

  conversationWith(user: string): string {
    return this.toConversation(user);
  }

  peerOf(conversation: string): string {
    return nameOf(this.people.peer(conversation));
  }

  profile(user: string): Promise<Profile | undefined> {
    return this.people.profile(userRaw(user));
  }

  // --- what this device alone keeps ---

  setDraft(conversation: string, text: string): Promise<void> {
    return this.setLocal(conversation, { draft: text });
  }

  mute(conversation: string, until: number): Promise<void> {
    return this.setLocal(conversation, { muted_until: until });
  }

  pin(conversation: string, pinned: boolean): Promise<void> {
    return this.setLocal(conversation, { pinned });
  }

  archive(conversation: string, archived: boolean): Promise<void> {
    return this.setLocal(conversation, { archived });
  }

  private async setLocal(of: string, change: LocalChange): Promise<void> {
    await this.open.setLocal(this.toConversation(of), change);
    this.committed();
  }

  async setting(name: string): Promise<unknown> {
    return await this.open.getMeta(`setting:${name}`);
  }

  async setSetting(name: string, value: unknown): Promise<void> {
    await this.open.setMeta({ [`setting:${name}`]: value });
  }
}
