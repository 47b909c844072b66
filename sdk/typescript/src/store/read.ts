/** What is shown of the profile: pages of a conversation, lines of the list, what has changed. Reads only what is committed. */

import { type Action, decodeContent, isAction } from "../content/codec.js";
import { DELETED, fold, orderOf, type Shown, type Written } from "../content/fold.js";
import type { Id } from "../core/frames.js";
import type { ConversationRow, Database, HistoryRow } from "./schema.js";
import { keyOf } from "./work.js";

const CHANGES_MAX = 1024; // rows of one look at what has changed
const SEARCH_PAGE = 256;
const GAPS_MAX = 64; // the newest ones; one comes after weeks without a connection, or after a restore

/** A message with what is shown of it. */
export interface ShownRow {
  readonly row: HistoryRow;
  readonly shown: Shown;
}

/** A line of the list. */
export interface ListRow {
  readonly row: ConversationRow;
  readonly unread: number;
  readonly last: ShownRow | undefined;
}

export type Spot = readonly [order: number, sender: Id, message_id: Id];

/** What has changed behind a number of the line. */
export interface Changes {
  readonly position: number;
  readonly added: readonly ShownRow[];
  readonly changed: readonly ShownRow[];
  readonly hidden: readonly HistoryRow[];
  readonly gaps: readonly number[];
  /** Conversations whose line on the list may be another. */
  readonly conversations: readonly Id[];
  /** There is more: look again from `position`. */
  readonly more: boolean;
}

const END: IDBValidKey = []; // above every number and text
type Reading = ReturnType<typeof reading>;
const reading = (db: Database) => db.transaction(["history", "conversations", "meta"]);

function written(row: HistoryRow): Written {
  const { sender, message_id, at, state, n } = row;
  return { sender, message_id, at, state, order: orderOf(state, at, n), said: decodeContent(row) };
}

/** Several messages as they are shown. */
async function show(tx: Reading, rows: readonly HistoryRow[]): Promise<ShownRow[]> {
  const actions = tx.objectStore("history").index("actions");
  return await Promise.all(
    rows.map(async (row) => {
      if (row.wiped !== undefined) return { row, shown: DELETED };
      const key: [Id, string] = [row.conversation, keyOf(row.sender, row.message_id)];
      const found = row.acted === undefined ? [] : (await actions.getAll(key)).map(written);
      return {
        row,
        shown: fold(
          written(row),
          found.filter((one): one is Written<Action> => isAction(one.said)),
        ),
      };
    }),
  );
}

const screenRange = (conversation: Id, low: Spot | undefined, high: Spot | undefined, withLow = false) =>
  IDBKeyRange.bound(
    low === undefined ? [conversation] : [conversation, ...low],
    high === undefined ? [conversation, END] : [conversation, ...high],
    low !== undefined && !withLow,
    high !== undefined,
  );

/** At most `limit` messages before `before` (the newest ones without it), in order. */
async function pageBefore(tx: Reading, conversation: Id, before: Spot | undefined, limit: number) {
  const screen = tx.objectStore("history").index("screen");
  let cursor = await screen.openKeyCursor(screenRange(conversation, undefined, before), "prev");
  if (cursor !== null) cursor = await cursor.advance(limit);
  const [, ...low] = cursor === null ? [] : cursor.key;
  const range = screenRange(conversation, cursor === null ? undefined : (low as unknown as Spot), before);
  return { rows: await screen.getAll(range, limit), more: cursor !== null };
}

async function pageAfter(tx: Reading, conversation: Id, after: Spot, limit: number, withIt = false) {
  const range = screenRange(conversation, after, undefined, withIt);
  const rows = await tx
    .objectStore("history")
    .index("screen")
    .getAll(range, limit + 1);
  return { rows: rows.slice(0, limit), more: rows.length > limit };
}

export interface ShownPage {
  readonly messages: readonly ShownRow[];
  readonly moreBefore: boolean;
  readonly moreAfter: boolean;
}

/** A page of the conversation's screen: before, after or around a spot; the newest messages without one. */
export async function page(
  db: Database,
  conversation: Id,
  where: { before?: Spot | undefined; after?: Spot | undefined; around?: Spot | undefined },
  limit: number,
): Promise<ShownPage> {
  const tx = reading(db);
  if (where.around !== undefined) {
    const half = Math.ceil(limit / 2);
    const older = await pageBefore(tx, conversation, where.around, half);
    const newer = await pageAfter(tx, conversation, where.around, limit - half, true);
    return { messages: await show(tx, [...older.rows, ...newer.rows]), moreBefore: older.more, moreAfter: newer.more };
  }
  if (where.after !== undefined) {
    const { rows, more } = await pageAfter(tx, conversation, where.after, limit);
    return { messages: await show(tx, rows), moreBefore: true, moreAfter: more };
  }
  const { rows, more } = await pageBefore(tx, conversation, where.before, limit);
  return { messages: await show(tx, rows), moreBefore: more, moreAfter: where.before !== undefined };
}

/** One message; undefined when it is not here, or not a message. */
export async function one(db: Database, sender: Id, message_id: Id): Promise<ShownRow | undefined> {
  const tx = reading(db);
  const row = await tx.objectStore("history").get([sender, message_id]);
  return row?.order === undefined ? undefined : (await show(tx, [row]))[0];
}

const unreadRange = (row: ConversationRow) => {
  const read = Math.max(row.read, row.read_wanted);
  return IDBKeyRange.bound([row.conversation, read], [row.conversation, END], true, true);
};

async function line(tx: Reading, row: ConversationRow): Promise<ListRow> {
  const history = tx.objectStore("history");
  const [unread, newest] = await Promise.all([
    history.index("unread").count(unreadRange(row)),
    history.index("screen").openCursor(screenRange(row.conversation, undefined, undefined), "prev"),
  ]);
  const [last] = newest === null ? [] : await show(tx, [newest.value]);
  return { row, unread, last };
}

/** Lines of the list; of those conversations that are there. */
export async function lines(db: Database, conversations?: readonly Id[]): Promise<ListRow[]> {
  const tx = reading(db);
  const store = tx.objectStore("conversations");
  const rows =
    conversations === undefined
      ? await store.getAll()
      : await Promise.all(conversations.map((conversation) => store.get(conversation)));
  return await Promise.all(rows.filter((row) => row !== undefined).map((row) => line(tx, row)));
}

/** The first message of somebody else that is not read. */
export async function firstUnread(db: Database, conversation: Id): Promise<ShownRow | undefined> {
  const tx = reading(db);
  const row = await tx.objectStore("conversations").get(conversation);
  if (row === undefined) return undefined;
  const [found] = await tx.objectStore("history").index("unread").getAll(unreadRange(row), 1);
  return found === undefined ? undefined : (await show(tx, [found]))[0];
}

/** The seq of the newest message from somebody else, 0 when there is none. */
export async function newestSeq(db: Database, conversation: Id): Promise<number> {
  const unread = reading(db).objectStore("history").index("unread");
  const cursor = await unread.openKeyCursor(IDBKeyRange.bound([conversation], [conversation, END]), "prev");
  return cursor === null ? 0 : cursor.key[1];
}

/** When the server could not keep older messages for this device, the newest ones, ascending. */
export async function gaps(db: Database): Promise<number[]> {
  const found: number[] = [];
  const ofNobody = IDBKeyRange.bound([""], ["", END]); // gaps have no sender; their ids ascend
  for await (const { value } of reading(db).objectStore("history").iterate(ofNobody, "prev")) {
    if (value.kind === "gap") found.push(value.at);
    if (found.length === GAPS_MAX) break;
  }
  return found.reverse();
}

/** What has changed behind `after`, in the order of the line. */
export async function changes(db: Database, after: number): Promise<Changes> {
  const tx = reading(db);
  const history = tx.objectStore("history");
  const behind = IDBKeyRange.lowerBound(after, true);
  const rows = await history.index("changed").getAll(behind, CHANGES_MAX);
  const more = rows.length === CHANGES_MAX;
  const upto = more ? (rows.at(-1)?.changed ?? after) : Number(await tx.objectStore("meta").get("position")) || after;
  const touched = await tx
    .objectStore("conversations")
    .index("changed")
    .getAllKeys(IDBKeyRange.bound(after + 1, Math.max(after + 1, upto)));
  const conversations = new Set<Id>(touched);
  const added: HistoryRow[] = [];
  const changed = new Map<string, HistoryRow>();
  const hidden: HistoryRow[] = [];
  const gaps: number[] = [];
  const targets = new Map<string, [Id, Id]>();
  for (const row of rows) {
    if (row.kind === "gap") gaps.push(row.at);
    else conversations.add(row.conversation);
    if (row.hidden !== undefined) hidden.push(row);
    else if (row.target !== undefined) targets.set(row.target, row.target.split("/") as [Id, Id]);
    else if (row.order !== undefined && row.n > after) added.push(row);
    else if (row.order !== undefined) changed.set(keyOf(row.sender, row.message_id), row);
  }
  const fresh = new Set(added.map((row) => keyOf(row.sender, row.message_id)));
  const acted = [...targets].filter(([key]) => !fresh.has(key) && !changed.has(key));
  for (const target of await Promise.all(acted.map(([, key]) => history.get(key)))) {
    if (target?.order !== undefined) changed.set(keyOf(target.sender, target.message_id), target);
  }
  const [shownAdded, shownChanged] = await Promise.all([show(tx, added), show(tx, [...changed.values()])]);
  return {
    ...{ position: upto, added: shownAdded, changed: shownChanged, hidden, gaps, more },
    conversations: [...conversations],
  };
}

/** Words as they are compared: without case and marks. */
export const plain = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** Messages that hold every word, newest first. Goes through the history from its end: nothing is indexed for it. */
export async function search(
  db: Database,
  words: readonly string[],
  where: { conversations: readonly Id[]; before: Spot | undefined },
  limit: number,
): Promise<ShownRow[]> {
  let found: ShownRow[] = [];
  const order = ({ row }: ShownRow) => row.order ?? 0;
  for (const conversation of where.conversations) {
    let before = where.before;
    const inThis: ShownRow[] = [];
    while (inThis.length < limit) {
      const tx = reading(db);
      const { rows, more } = await pageBefore(tx, conversation, before, SEARCH_PAGE);
      const shown = await show(tx, rows);
      for (const one of shown.reverse()) {
        const text = one.shown.kind === "text" ? plain(one.shown.body) : "";
        if (inThis.length < limit && text !== "" && words.every((word) => text.includes(word))) inThis.push(one);
      }
      const first = rows[0];
      if (!more || first?.order === undefined) break;
      before = [first.order, first.sender, first.message_id];
    }
    found = [...found, ...inThis].sort((a, b) => order(b) - order(a)).slice(0, limit);
  }
  return found;
}
