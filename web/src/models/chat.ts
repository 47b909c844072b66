/**
 * One open conversation: a stretch of its history that grows at both ends and never holds more than KEPT_MAX messages, so
 * that ten thousand cost no more than two hundred. What lies outside is paged in from the profile.
 */

import type { IrisClient, Message, Place, Reference } from "@iris-im/sdk";
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { Kept } from "./kept.js";
import type { Ports } from "./ports.js";
import { cut, merge, type Stretch } from "./stretch.js";
import { keyOf, timeline } from "./timeline.js";

const PAGE = 60;
export const KEPT_MAX = 240;
const HIGHLIGHT_MS = 2_000;
const RESULTS_MAX = 100;
export const QUOTED_MAX = 500; // messages outside the stretch that replies quote; above it those out of sight are forgotten
export const HELD_MAX = 1_000; // events during a load; above it they are dropped and the stretch is read anew
const NO_GAPS: ReadonlySignal<readonly number[]> = signal([]);

export class ChatModel {
  readonly peer: string;
  readonly messages = signal<readonly Message[]>([]);
  readonly moreBefore = signal(false);
  readonly moreAfter = signal(false);
  readonly loaded = signal(false);
  /** The unread marker stands where reading began when the conversation was opened. */
  readonly unread = signal<{ before: string; count: number } | undefined>(undefined);
  /** The message that the view brings into sight and shows for a moment. */
  readonly target = signal<{ key: string; turn: number } | undefined>(undefined);
  readonly highlighted = signal("");
  /** Messages from the other one that came while the end was out of sight. */
  readonly below = signal(0);
  readonly atEnd = signal(true);
  /** What a screen reader is told. */
  readonly announced = signal<Message | undefined>(undefined);
  readonly searchOpen = signal(false);
  readonly query = signal("");
  readonly results = signal<readonly Message[]>([]);
  readonly result = signal(-1);
  readonly items = computed(() => {
    const more = { before: this.moreBefore.value, after: this.moreAfter.value };
    return timeline(this.messages.value, this.unread.value, this.gaps.value, more);
  });
  /** Loads under way, their order, and what was told meanwhile. */
  private loading = 0;
  private turns: Promise<void> = Promise.resolve();
  private readonly held: (() => void)[] = [];
  private missed = false;
  private opening: Promise<void> | undefined;
  private turn = 0;
  private readSeq = 0;
  private cancelHighlight: () => void = () => {};
  private cancelSearch: () => void = () => {};
  /** Messages that replies quote and that are not in the stretch, as far as asked for. */
  private readonly quoted = new Kept<Message | null | undefined>(QUOTED_MAX);

  constructor(
    private readonly client: IrisClient,
    readonly conversation: string,
    private readonly ports: Ports,
    /** When this device learned that the server could not keep older messages for it. */
    private readonly gaps: ReadonlySignal<readonly number[]> = NO_GAPS,
  ) {
    this.peer = client.peerOf(conversation);
  }

  /** Loads the newest messages, or, when some are unread, those around the first of them. */
  open(): Promise<void> {
    this.opening ??= this.load();
    return this.opening;
  }

  private load(): Promise<void> {
    return this.once(async () => {
      const line = await this.client.conversation(this.conversation);
      this.readSeq = line.readSeq;
      const first = line.unread > 0 ? await this.client.firstUnread(this.conversation) : undefined;
      const around = first === undefined ? {} : { around: first.place };
      const page = await this.client.messages(this.conversation, { limit: PAGE, ...around });
      batch(() => {
        this.set(page);
        this.atEnd.value = first === undefined;
        if (first !== undefined) {
          this.unread.value = { before: keyOf(first), count: line.unread };
          this.target.value = { key: keyOf(first), turn: ++this.turn };
        }
        this.loaded.value = true;
      });
    });
  }

  // --- paging ---

  /** One page more above. */
  async older(): Promise<void> {
    if (this.loading > 0 || !this.moreBefore.value) return;
    await this.once(async () => {
      const first = this.messages.value[0];
      if (first === undefined) return;
      const page = await this.client.messages(this.conversation, { before: first.place, limit: PAGE });
      const messages = [...page.messages, ...this.messages.value];
      this.set(cut({ messages, moreBefore: page.moreBefore, moreAfter: this.moreAfter.value }, KEPT_MAX, "begin"));
    });
  }

  /** One page more below. */
  async newer(): Promise<void> {
    if (this.loading > 0 || !this.moreAfter.value) return;
    await this.once(async () => {
      const last = this.messages.value.at(-1);
      if (last === undefined) return;
      const page = await this.client.messages(this.conversation, { after: last.place, limit: PAGE });
      const messages = [...this.messages.value, ...page.messages];
      this.set(cut({ messages, moreBefore: this.moreBefore.value, moreAfter: page.moreAfter }, KEPT_MAX, "end"));
    });
  }

  /** To the newest message. */
  toEnd(): Promise<void> {
    return this.once(async () => {
      if (this.moreAfter.value) this.set(await this.client.messages(this.conversation, { limit: PAGE }));
      batch(() => {
        const last = this.messages.value.at(-1);
        if (last !== undefined) this.target.value = { key: keyOf(last), turn: ++this.turn };
        this.below.value = 0;
        this.atEnd.value = true;
      });
    });
  }

  /** Brings a message into sight; false when this device does not have it. */
  async jumpTo(reference: Reference): Promise<boolean> {
    const key = keyOf(reference);
    const found = await this.once(async () => {
      if (this.messages.value.some((one) => keyOf(one) === key)) return true;
      const message = await this.client.message(reference);
      if (message?.conversation !== this.conversation) return false;
      const page = await this.client.messages(this.conversation, { around: message.place, limit: PAGE });
      batch(() => {
        this.set(page);
        this.atEnd.value = false;
      });
      return true;
    });
    if (!found) return false;
    batch(() => {
      this.target.value = { key, turn: ++this.turn };
      this.highlighted.value = key;
    });
    this.cancelHighlight();
    this.cancelHighlight = this.ports.later(HIGHLIGHT_MS, () => {
      this.highlighted.value = "";
    });
    return true;
  }

  /**
   * One load after the other: each builds on the stretch that the one before it left. What is told meanwhile is taken
   * afterwards, since a page may be older than it.
   */
  private once<T>(work: () => Promise<T>): Promise<T> {
    this.loading += 1;
    const done = this.turns.then(work).finally(() => {
      this.loading -= 1;
      if (this.loading === 0) this.takeHeld();
    });
    this.turns = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  private takeHeld(): void {
    const held = this.held.splice(0);
    if (!this.missed) {
      for (const take of held) take();
      return;
    }
    this.missed = false;
    const first = this.atEnd.value ? undefined : this.messages.value[0];
    const where = first === undefined ? {} : { around: first.place };
    void this.once(async () => this.set(await this.client.messages(this.conversation, { limit: KEPT_MAX, ...where })));
  }

  private hold(take: () => void): void {
    if (this.held.length < HELD_MAX) this.held.push(take);
    else this.missed = true;
  }

  private set(stretch: Stretch): void {
    batch(() => {
      this.messages.value = stretch.messages;
      this.moreBefore.value = stretch.moreBefore;
      this.moreAfter.value = stretch.moreAfter;
    });
  }

  // --- events ---

  onMessages(added: readonly Message[], changed: readonly Message[]): void {
    if (this.loading > 0) this.hold(() => this.take(added, changed));
    else if (this.loaded.value) this.take(added, changed);
  }

  onRemoved(messageIds: readonly string[]): void {
    if (this.loading > 0) this.hold(() => this.onRemoved(messageIds));
    const gone = new Set(messageIds);
    this.messages.value = this.messages.value.filter((one) => !gone.has(one.messageId));
  }

  private take(added: readonly Message[], changed: readonly Message[]): void {
    for (const message of changed) this.setQuoted(message);
    const here = { moreBefore: this.moreBefore.value, moreAfter: this.moreAfter.value };
    const { messages, news } = merge({ messages: this.messages.value, ...here }, added, changed);
    const own = news.some((one) => one.own && one.state === "queued");
    const others = news.filter((one) => !one.own);
    batch(() => {
      this.set(cut({ messages, ...here }, KEPT_MAX, this.atEnd.value || own ? "end" : "begin"));
      if (!this.atEnd.value) this.below.value += others.length;
      const last = others.at(-1);
      if (last !== undefined) this.announced.value = last;
      if (own) this.unread.value = undefined; // who answers has read
    });
    if (own) void this.toEnd();
    if (this.atEnd.value) this.readAll();
  }

  // --- reading ---

  /** The view tells whether the end is in sight. */
  setAtEnd(atEnd: boolean): void {
    const end = atEnd && !this.moreAfter.value;
    batch(() => {
      this.atEnd.value = end;
      if (end) this.below.value = 0;
    });
    if (end) this.readAll();
  }

  /** The lowest message that was in sight has been read, with all above it. */
  seen(key: string): void {
    if (!this.ports.inFront()) return;
    const at = this.messages.value.findIndex((one) => keyOf(one) === key);
    for (let n = at; n >= 0; n -= 1) {
      const message = this.messages.value[n];
      if (message !== undefined && !message.own && message.seq > 0) {
        this.read(message.seq);
        return;
      }
    }
  }

  /** Everything here has been read, when the page is in front. */
  readAll(): void {
    if (!this.ports.inFront() || !this.loaded.value || this.moreAfter.value) return;
    const highest = this.messages.value.reduce((most, one) => (one.own ? most : Math.max(most, one.seq)), 0);
    this.read(highest);
  }

  private read(seq: number): void {
    if (seq <= this.readSeq) return;
    this.readSeq = seq;
    void this.client.markRead(this.conversation, seq);
  }

  // --- quotes ---

  /** The message that a reply answers: null when this device has none, undefined while it is looked for. */
  quote(reference: Reference): Message | null | undefined {
    const key = keyOf(reference);
    const here = this.messages.value.find((one) => keyOf(one) === key);
    if (here !== undefined) return here;
    let found = this.quoted.find(key);
    if (found === undefined) {
      found = this.quoted.make(key, undefined);
      const told = found;
      void this.client.message(reference).then((message) => {
        told.value = message ?? null;
      });
    }
    return found.value;
  }

  private setQuoted(message: Message): void {
    const found = this.quoted.find(keyOf(message));
    if (found !== undefined) found.value = message;
  }

  // --- search ---

  search(text: string): void {
    this.query.value = text;
    this.cancelSearch();
    this.cancelSearch = this.ports.later(200, () => void this.find(text));
  }

  private async find(text: string): Promise<void> {
    const found =
      text.trim() === "" ? [] : await this.client.search(text, { conversation: this.conversation, limit: RESULTS_MAX });
    if (this.query.value !== text) return;
    this.results.value = found;
    this.result.value = -1;
    if (found.length > 0) await this.showResult(0);
  }

  /** Results are newest first. */
  async showResult(at: number): Promise<void> {
    const message = this.results.value[at];
    if (message === undefined) return;
    this.result.value = at;
    await this.jumpTo(message);
  }

  closeSearch(): void {
    this.cancelSearch();
    batch(() => {
      this.searchOpen.value = false;
      this.query.value = "";
      this.results.value = [];
      this.result.value = -1;
    });
  }

  /** The last message of mine that can be edited. */
  lastOwn(): Message | undefined {
    return this.messages.value.findLast((one) => one.own && one.body.kind === "text" && one.state !== "refused");
  }

  /** Where the last loaded message stands; tests look at it. */
  end(): Place | undefined {
    return this.messages.value.at(-1)?.place;
  }
}
