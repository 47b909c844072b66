/** Deleted words leave the database: not only the screen. */

import { openDB } from "idb";
import { beforeEach, describe, expect, it } from "vitest";
import { type Action, encodeContent } from "../src/content/codec.js";
import type { Write } from "../src/core/effects.js";
import { MIGRATIONS } from "../src/store/database.js";
import { changes, lines, one, page, search } from "../src/store/read.js";
import type { HistoryRow, ProfileSchema, Writing } from "../src/store/schema.js";
import { ProfileStore } from "../src/store/store.js";
import { Work } from "../src/store/work.js";
import { ADA, accepted, BOB, fromBob, HOLDER, idOf, openStore, ownCopy, refused, TALK, text } from "./profiles.js";

const SECRET = "the key is under the mat";
const utf8 = new TextDecoder();

let store: ProfileStore;
let chosen = 100;

beforeEach(async () => {
  store = await openStore();
});

const apply = (...writes: Write[]) => store.apply(writes, HOLDER);
const deletion = (sender: string, message_id: string) =>
  encodeContent({ kind: "delete", target: { sender, message_id } });
const edit = (sender: string, message_id: string, body: string) =>
  encodeContent({ kind: "edit", target: { sender, message_id }, body, mentions: [] } satisfies Action);

async function send(payload = text(SECRET)): Promise<string> {
  chosen += 1;
  const message_id = idOf(chosen);
  await store.enqueue({ conversation: TALK, message_id, at: 1, payload }, 1000);
  return message_id;
}

/** The history as it lies in the database, as text. */
async function dump(): Promise<string> {
  const rows = await store.db.getAll("history");
  return rows.map((row) => utf8.decode(row.payload)).join("|");
}
const rowOf = async (sender: string, message_id: string): Promise<HistoryRow | undefined> =>
  await store.db.get("history", [sender, message_id]);
const kinds = async () => (await page(store.db, TALK, {}, 100)).messages.map(({ shown }) => shown.kind);

describe("deleted for everyone", () => {
  it("by the other: the words and their edits go, the row and its place stay", async () => {
    await apply(fromBob(1, 10, text(SECRET)), fromBob(2, 20, edit(BOB, idOf(1), `${SECRET} again`)), fromBob(3, 30));
    const before = await rowOf(BOB, idOf(1));
    await apply(fromBob(4, 40, deletion(BOB, idOf(1))));
    expect(await dump()).not.toContain("key");
    const { payload: _, acted: __, ...kept } = before ?? {};
    expect(await rowOf(BOB, idOf(1))).toMatchObject(kept);
    expect(await kinds()).toEqual(["deleted", "text"]);
    expect((await lines(store.db))[0]?.unread).toBe(2);
    await apply(fromBob(1, 10, text(SECRET)), fromBob(2, 20, edit(BOB, idOf(1), SECRET))); // a repeat is none
    expect(await dump()).not.toContain("key");
    expect(await kinds()).toEqual(["deleted", "text"]);
  });

  it("in whatever order it comes", async () => {
    await apply(fromBob(4, 40, deletion(BOB, idOf(1))));
    await apply(fromBob(2, 20, edit(BOB, idOf(1), SECRET)));
    await apply(fromBob(1, 10, text(SECRET)));
    await apply(fromBob(3, 30, edit(BOB, idOf(1), SECRET)));
    expect(await dump()).not.toContain("key");
    expect(await kinds()).toEqual(["deleted"]);
  });

  it("by me: when the server has the deletion, not while it may still be refused", async () => {
    const secret = await send();
    await apply(accepted(secret, 7, 10));
    const gone = await send(deletion(ADA, secret));
    expect(await kinds()).toEqual(["deleted"]);
    await apply(refused(gone, 1003));
    expect(await kinds()).toEqual(["text"]);
    await apply(accepted(await send(deletion(ADA, secret)), 8, 20));
    expect(await dump()).not.toContain("key");
    expect((await rowOf(ADA, secret))?.state).toBe("accepted");
    await apply({ save_receipt: { conversation: TALK, delivered: 7, read: 0 } });
    expect((await rowOf(ADA, secret))?.state).toBe("delivered");
    await apply({ expire: { before_at: 1000 } }); // the deletion reached nobody, but its words are gone
    expect(await kinds()).toEqual(["deleted"]);
  });

  it("what still waits to be sent keeps its words until it was", async () => {
    const secret = await send();
    const better = await send(edit(ADA, secret, `${SECRET}!`));
    const gone = await send(deletion(ADA, secret));
    await apply({ save_answer: { message_id: secret, conversation: TALK, seq: 7, at: 10, code: 0 } });
    const [payload] = await store.payloads(ADA, [better]);
    expect(utf8.decode(payload?.payload)).toContain(SECRET);
    await apply(accepted(gone, 9, 30));
    await apply(accepted(better, 8, 20));
    expect(await dump()).not.toContain("key");
  });

  it("by me on another device", async () => {
    await apply(ownCopy(idOf(1), 7, 10, text(SECRET)), ownCopy(idOf(2), 8, 20, deletion(ADA, idOf(1))));
    expect(await dump()).not.toContain("key");
    expect(await kinds()).toEqual(["deleted"]);
  });

  it("not by anybody else", async () => {
    const mine = await send();
    await apply(accepted(mine, 7, 10), fromBob(1, 20, deletion(ADA, mine)), fromBob(2, 30, edit(ADA, mine, "no")));
    expect(await dump()).toContain(SECRET);
    expect(await kinds()).toEqual(["text"]);
  });

  it("is told as a change, and is not found", async () => {
    await apply(fromBob(1, 10, text(SECRET)));
    const { position } = await changes(store.db, 0);
    await apply(fromBob(2, 20, deletion(BOB, idOf(1))));
    const { added, changed } = await changes(store.db, position);
    expect([added.length, changed.map(({ shown }) => shown.kind)]).toEqual([0, ["deleted"]]);
    expect(await search(store.db, ["key"], { conversations: [TALK], before: undefined }, 9)).toEqual([]);
  });
});

describe("deleted for me", () => {
  it("the words and their edits go, also those that come later", async () => {
    await apply(fromBob(1, 10, text(SECRET)), fromBob(2, 20, edit(BOB, idOf(1), SECRET)));
    await store.hide(BOB, idOf(1));
    await apply(fromBob(3, 30, edit(BOB, idOf(1), SECRET)), fromBob(1, 10, text(SECRET)));
    expect(await dump()).not.toContain("key");
    expect(await one(store.db, BOB, idOf(1))).toBeUndefined();
    expect((await store.db.getAll("history")).length).toBe(3);
  });

  it("what waits is sent first", async () => {
    const secret = await send();
    await store.hide(ADA, secret);
    const [payload] = await store.payloads(ADA, [secret]);
    expect(utf8.decode(payload?.payload)).toContain(SECRET);
    await apply(accepted(secret, 7, 10));
    expect(await dump()).not.toContain("key");
  });

  it("a refused message that was sent again goes", async () => {
    const first = await send();
    await apply(refused(first, 1003));
    const again = { conversation: TALK, message_id: idOf(1), at: 2, payload: text("again"), replaces: first };
    await store.enqueue(again, 1000);
    expect(await dump()).not.toContain("key");
  });
});

it("words that an older version kept go when its profile is opened", async () => {
  const name = "old";
  const db = await openDB<ProfileSchema>(name, 1, {
    async upgrade(made, _from, _to, tx) {
      await MIGRATIONS[0]?.(made, tx as unknown as Writing);
    },
  });
  const tx = db.transaction(["meta", "history", "outbox", "conversations", "people"], "readwrite");
  const work = await new Work(tx).begin();
  const given = { kind: "message", conversation: TALK, sender: BOB, device: 1, state: "", at: 10 } as const;
  for (const [number, payload] of [text(SECRET), text(SECRET), text("kept"), deletion(BOB, idOf(0))].entries()) {
    await work.insert({ ...given, ...payload, message_id: idOf(number), seq: number + 1 });
  }
  const hidden = await work.row(BOB, idOf(1));
  if (hidden !== undefined) work.hide(hidden);
  work.finish();
  await tx.done;
  db.close();
  store = await ProfileStore.open(name, () => undefined);
  expect(await dump()).not.toContain("key");
  expect(await dump()).toContain("kept");
  expect(await kinds()).toEqual(["deleted", "text"]);
});
