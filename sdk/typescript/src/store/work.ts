/**
 * One writing transaction. Rows that it touches are read once and written as they change, in order; every change takes the
 * next number of one line, so that whoever remembers a number can read all that came after.
 */

import { decodeContent, isAction } from "../content/codec.js";
import { orderOf } from "../content/fold.js";
import type { Id } from "../core/frames.js";
import { type ConversationRow, emptyConversation, type HistoryRow, type OutboxRow, type Writing } from "./schema.js";

export const keyOf = (sender: Id, message_id: Id): string => `${sender}/${message_id}`;

/** What a row is told when it is made; the rest follows. */
export type NewRow = Omit<
  HistoryRow,
  "n" | "changed" | "code" | "order" | "unread" | "awaits" | "target" | "acted" | "hidden" | "wiped"
>;

export class Work {
  position = 0;
  user: Id = "";
  device = 0;
  private first = 0;
  private waiting = 0;
  private waitingBefore = 0;
  private readonly rows = new Map<string, HistoryRow | undefined>();
  private readonly conversations = new Map<Id, ConversationRow>();
  private readonly unsaved = new Set<ConversationRow>(); // many messages change one conversation: it is written once

  constructor(readonly tx: Writing) {}

  async begin(): Promise<this> {
    const meta = this.tx.objectStore("meta");
    const read = ["position", "waiting", "user", "device"].map((key) => meta.get(key));
    const [position, waiting, user, device] = await Promise.all(read);
    this.position = this.first = Number(position ?? 0);
    this.waiting = this.waitingBefore = Number(waiting ?? 0);
    this.user = String(user ?? "");
    this.device = Number(device ?? 0);
    return this;
  }

  /** The last writes; then the transaction may end. */
  finish(): void {
    for (const row of this.unsaved) settle(this.tx.objectStore("conversations").put(row));
    if (this.position !== this.first) this.setMeta({ position: this.position });
    if (this.waiting !== this.waitingBefore) this.setMeta({ waiting: this.waiting });
  }

  next(): number {
    this.position += 1;
    return this.position;
  }

  getMeta(key: string): Promise<unknown> {
    return this.tx.objectStore("meta").get(key);
  }

  setMeta(values: Readonly<Record<string, unknown>>): void {
    for (const [key, value] of Object.entries(values)) settle(this.tx.objectStore("meta").put(value, key));
  }

  /** Messages without an answer. */
  get outboxSize(): number {
    return this.waiting;
  }

  // --- conversations ---

  /** The row, made when there is none. After a change call `save`. */
  async conversation(conversation: Id): Promise<ConversationRow> {
    let row = this.conversations.get(conversation);
    if (row === undefined) {
      row = (await this.tx.objectStore("conversations").get(conversation)) ?? emptyConversation(conversation);
      row = this.conversations.get(conversation) ?? row; // asked for twice at once
      this.conversations.set(conversation, row);
    }
    return row;
  }

  save(row: ConversationRow): void {
    this.unsaved.add(row);
  }

  /** ... and what is shown of it has changed. */
  touch(row: ConversationRow): void {
    row.changed = this.next();
    this.save(row);
  }

  async seen(conversation: Id, at: number): Promise<void> {
    const row = await this.conversation(conversation);
    if (at > row.last_at) {
      row.last_at = at;
      this.save(row);
    }
  }

  /** The state of an accepted message by the registers. */
  async stateAt(conversation: Id, seq: number): Promise<string> {
    const { delivered, peer_read } = await this.conversation(conversation);
    return seq <= peer_read ? "read" : seq <= delivered ? "delivered" : "accepted";
  }

  // --- history ---

  /** Read rows and conversations in one breath; afterwards they are at hand. */
  async prefetch(rows: Iterable<readonly [Id, Id]>, conversations: Iterable<Id>): Promise<void> {
    const reads = [...rows].map(([sender, message_id]) => this.row(sender, message_id));
    await Promise.all([...reads, ...[...new Set(conversations)].map((one) => this.conversation(one))]);
  }

  async row(sender: Id, message_id: Id): Promise<HistoryRow | undefined> {
    const key = keyOf(sender, message_id);
    if (!this.rows.has(key)) {
      const found = await this.tx.objectStore("history").get([sender, message_id]);
      if (!this.rows.has(key)) this.rows.set(key, found);
    }
    return this.rows.get(key);
  }

  /** The same rows as this transaction knows them. */
  known(found: readonly HistoryRow[]): HistoryRow[] {
    return found.map((row) => {
      const key = keyOf(row.sender, row.message_id);
      const known = this.rows.get(key) ?? row;
      this.rows.set(key, known);
      return known;
    });
  }

  put(row: HistoryRow): void {
    this.rows.set(keyOf(row.sender, row.message_id), row);
    settle(this.tx.objectStore("history").put(row));
  }

  /** A new row, unless this message is known. Returns it when it is new. */
  async insert(given: NewRow): Promise<HistoryRow | undefined> {
    if ((await this.row(given.sender, given.message_id)) !== undefined) return undefined;
    const n = this.next();
    const row: HistoryRow = { ...given, n, changed: n, code: 0 };
    if (row.kind !== "gap") await this.place(row);
    this.put(row);
    return row;
  }

  private async place(row: HistoryRow): Promise<void> {
    const said = decodeContent(row);
    const conversation = await this.conversation(row.conversation);
    if (isAction(said)) {
      row.target = keyOf(said.target.sender, said.target.message_id);
      const target = await this.row(said.target.sender, said.target.message_id);
      if (target === undefined) {
        conversation.orphans += 1;
        this.save(conversation);
      } else if (target.acted === undefined) {
        target.acted = 1;
        this.put(target);
      }
      awaiting(row);
      return;
    }
    if (conversation.orphans > 0) {
      const actions = this.tx.objectStore("history").index("actions");
      const found = await actions.count([row.conversation, keyOf(row.sender, row.message_id)]);
      if (found > 0) {
        row.acted = 1;
        conversation.orphans = Math.max(0, conversation.orphans - found);
        this.save(conversation);
      }
    }
    if (row.kind === "message") row.unread = row.seq;
    row.order = orderOf(row.state, row.at, row.n);
    awaiting(row);
  }

  /** A message of mine has got further. Expired is final. */
  change(row: HistoryRow, state: string, seq: number, at: number, code: number): void {
    if (row.state === "expired" || (row.state === state && row.seq === seq && row.at === at)) return;
    Object.assign(row, { state, seq, at, code, changed: this.next() });
    if (row.order !== undefined) row.order = orderOf(state, at, row.n);
    awaiting(row);
    this.put(row);
  }

  /** Edits, reactions and deletions of a message. */
  async actionsOn(row: HistoryRow): Promise<HistoryRow[]> {
    const actions = this.tx.objectStore("history").index("actions");
    return this.known(await actions.getAll([row.conversation, keyOf(row.sender, row.message_id)]));
  }

  /** No longer shown. */
  hide(row: HistoryRow): void {
    if (row.order === undefined) return;
    delete row.order;
    delete row.unread;
    row.hidden = 1;
    row.changed = this.next();
    this.put(row);
  }

  // --- outbox ---

  enqueue(row: OutboxRow): void {
    this.waiting += 1;
    settle(this.tx.objectStore("outbox").put(row));
  }

  /** Mark a row of the outbox as answered; false when it was, or has left. */
  async answered(message_id: Id): Promise<boolean> {
    const outbox = this.tx.objectStore("outbox");
    const row = await outbox.index("message").get(message_id);
    if (row === undefined || row.answered === 1) return false;
    settle(outbox.put({ ...row, answered: 1 }));
    this.waiting -= 1;
    return true;
  }

  /** Answered rows of a conversation below `id` leave. Returns how many. */
  async dropAnswered(conversation: Id, below: number): Promise<number> {
    const outbox = this.tx.objectStore("outbox");
    const range = IDBKeyRange.bound([conversation, 1, 0], [conversation, 1, below], false, true);
    const gone = await outbox.index("places").getAllKeys(range);
    for (const id of gone) settle(outbox.delete(id));
    return gone.length;
  }

  /** The first row of a conversation's outbox that has no answer; undefined: none. */
  async firstUnanswered(conversation: Id): Promise<number | undefined> {
    const range = IDBKeyRange.bound([conversation, 0, 0], [conversation, 0, Number.MAX_SAFE_INTEGER]);
    return await this.tx.objectStore("outbox").index("places").getKey(range);
  }
}

/** A write need not be waited for: when it fails the transaction fails, which is. */
function settle(write: Promise<unknown>): void {
  write.catch(() => undefined);
}

function awaiting(row: HistoryRow): void {
  if (row.kind !== "message" && (row.state === "accepted" || row.state === "delivered")) row.awaits = row.state;
  else delete row.awaits;
}
