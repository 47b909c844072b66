/** What the core's writes make of the profile, and what is read of it. */

import { beforeEach, describe, expect, it } from "vitest";
import { encodeContent } from "../src/content/codec.js";
import type { Write } from "../src/core/effects.js";
import { OutboxFull } from "../src/errors.js";
import {
  changes,
  firstUnread,
  gaps,
  lines,
  newestSeq,
  one,
  page,
  plain,
  type ShownRow,
  search,
} from "../src/store/read.js";
import type { ProfileStore } from "../src/store/store.js";
import { ADA, accepted, BOB, fromBob, HOLDER, idOf, openStore, ownCopy, refused, TALK, text } from "./profiles.js";

let store: ProfileStore;
let chosen = 100;

beforeEach(async () => {
  store = await openStore();
});

async function send(body: string, at = 1, payload = text(body)): Promise<string> {
  chosen += 1;
  const message_id = idOf(chosen);
  await store.enqueue({ conversation: TALK, message_id, at, payload, draft: body }, 1000);
  return message_id;
}

const apply = (writes: readonly Write[]) => store.apply(writes, HOLDER);
const load = async () => (await store.hold(HOLDER)).saved;
const words = (rows: readonly ShownRow[]) => rows.map(({ shown }) => shown.body);
const screen = async () => words((await page(store.db, TALK, {}, 100)).messages);
const stateOf = async (message_id: string) => (await one(store.db, ADA, message_id))?.row.state;
const outbox = async () => (await store.outboxAfter(0)).map(({ message_id, answered }) => [message_id, answered]);
const saved = async () => (await load()).conversations[0];

describe("what is sent", () => {
  it("waits in the outbox and last on the screen, in its order, whatever the clocks say", async () => {
    const [one, two] = [await send("one", 900), await send("two", 5)];
    await apply([fromBob(1, 1000)]);
    expect(await screen()).toEqual(["message 1", "one", "two"]);
    expect(await outbox()).toEqual([
      [one, false],
      [two, false],
    ]);
    expect(await store.getMeta("waiting")).toBe(2);
  });

  it("takes its place when it is accepted", async () => {
    const one = await send("one", 5000);
    await apply([fromBob(1, 1000), accepted(one, 7, 900)]);
    expect(await screen()).toEqual(["one", "message 1"]);
    expect(await stateOf(one)).toBe("accepted");
    expect(await outbox()).toEqual([]);
    expect(await saved()).toMatchObject({ base: 2, stream: 1, last_at: 1000 });
    expect(await store.getMeta("waiting")).toBe(0);
  });

  it("keeps the places of those behind it", async () => {
    const [one, two, three] = [await send("one"), await send("two"), await send("three")];
    await apply([accepted(two, 8, 10)]);
    expect(await outbox()).toEqual([
      [one, false],
      [two, true],
      [three, false],
    ]);
    expect(await saved()).toMatchObject({ base: 1 });
    await apply([accepted(one, 7, 9)]);
    expect(await outbox()).toEqual([[three, false]]);
    expect(await saved()).toMatchObject({ base: 3 });
    await apply([{ save_stream: { conversation: TALK, stream: 4 } }]);
    expect(await saved()).toMatchObject({ base: 1, stream: 4 });
  });

  it("begins anew under a new stream, without what was answered", async () => {
    const [, two] = [await send("one"), await send("two")];
    await apply([accepted(two, 8, 10), { save_stream: { conversation: TALK, stream: 2 } }]);
    expect((await outbox()).map(([, answered]) => answered)).toEqual([false]);
    expect(await saved()).toMatchObject({ base: 1, stream: 2 });
  });

  it("is refused with its reason, and not after it was accepted", async () => {
    const [one, two] = [await send("one"), await send("two")];
    await apply([refused(one, 1003), accepted(two, 8, 10)]);
    await apply([refused(two, 1003)]);
    expect([await stateOf(one), await stateOf(two)]).toEqual(["refused", "accepted"]);
    expect(await store.getMeta("waiting")).toBe(0);
  });

  it("is not taken above the limit, and nothing of it is kept", async () => {
    await send("one");
    const given = { conversation: TALK, message_id: idOf(1), at: 1, payload: text("two") };
    await expect(store.enqueue(given, 1)).rejects.toBeInstanceOf(OutboxFull);
    expect(await screen()).toEqual(["one"]);
  });

  it("clears the draft of the same words only", async () => {
    await store.setLocal(TALK, { draft: "one " });
    await send("two");
    expect((await lines(store.db))[0]?.row.draft).toBe("one ");
    await send("one");
    expect((await lines(store.db))[0]?.row.draft).toBe("");
  });
});

describe("states", () => {
  it("follow receipts, also those that came first", async () => {
    const [one, two, three] = [await send("one"), await send("two"), await send("three")];
    await apply([{ save_receipt: { conversation: TALK, delivered: 8, read: 7 } }, accepted(one, 7, 1)]);
    await apply([accepted(two, 8, 2), accepted(three, 9, 3)]);
    expect([await stateOf(one), await stateOf(two), await stateOf(three)]).toEqual(["read", "delivered", "accepted"]);
    await apply([{ save_receipt: { conversation: TALK, delivered: 9, read: 0 } }]);
    expect([await stateOf(one), await stateOf(two), await stateOf(three)]).toEqual(["read", "delivered", "delivered"]);
    await apply([{ save_receipt: { conversation: TALK, delivered: 0, read: 9 } }]);
    expect([await stateOf(two), await stateOf(three)]).toEqual(["read", "read"]);
  });

  it("expire when nothing was delivered, for good", async () => {
    const [one, two] = [await send("one"), await send("two")];
    await apply([accepted(one, 7, 10), accepted(two, 8, 20)]);
    await apply([{ expire: { before_at: 20 } }]);
    await apply([{ save_receipt: { conversation: TALK, delivered: 8, read: 0 } }]);
    await apply([accepted(one, 7, 10), ownCopy(one, 7, 11)]);
    expect([await stateOf(one), await stateOf(two)]).toEqual(["expired", "delivered"]);
  });

  it("an own copy is this device's message, or another one's", async () => {
    const one = await send("one");
    await apply([ownCopy(one, 7, 30), ownCopy(idOf(5), 8, 40)]);
    expect(await screen()).toEqual(["one", "copy"]);
    expect([await stateOf(one), await stateOf(idOf(5))]).toEqual(["accepted", "accepted"]);
    expect(await outbox()).toEqual([[one, false]]); // until its own answer
  });
});

describe("what comes", () => {
  it("is shown once, and is unread until it is read", async () => {
    await apply([fromBob(1, 10), fromBob(2, 20), { save_cursor: { seq: 2, rev: 0 } }]);
    await apply([fromBob(2, 20), fromBob(3, 30)]);
    expect(await screen()).toEqual(["message 1", "message 2", "message 3"]);
    expect((await lines(store.db))[0]).toMatchObject({ unread: 3, last: { shown: { body: "message 3" } } });
    expect(await store.wantRead(TALK, 2)).toBe(true);
    expect(await store.wantRead(TALK, 2)).toBe(false);
    expect((await lines(store.db))[0]).toMatchObject({ unread: 1 });
    expect((await firstUnread(store.db, TALK))?.row.seq).toBe(3);
    expect(await newestSeq(store.db, TALK)).toBe(3);
    expect(await store.readsWanted()).toEqual([[TALK, 2]]);
    await apply([{ save_read: { conversation: TALK, seq: 2 } }]);
    expect(await store.readsWanted()).toEqual([]);
    expect(await load()).toMatchObject({ user: ADA, device: 1, seq: 2, rev: 0 });
  });

  it("a read position that the server does not know is forgotten", async () => {
    await apply([fromBob(1, 10)]);
    await store.wantRead(TALK, 1);
    await apply([{ drop_read_wanted: { conversation: TALK } }]);
    expect((await lines(store.db))[0]).toMatchObject({ unread: 1 });
  });

  it("edits, reactions and deletions are no messages, and wait for theirs", async () => {
    const target = { sender: BOB, message_id: idOf(1) };
    const edit = encodeContent({ kind: "edit", target, body: "better", mentions: [] });
    const like = encodeContent({ kind: "reaction", target, emoji: "👍" });
    await apply([fromBob(2, 20, edit)]);
    expect(await screen()).toEqual([]);
    await apply([fromBob(1, 10)]);
    expect(await screen()).toEqual(["better"]);
    await send("", 1, like);
    expect((await lines(store.db))[0]).toMatchObject({ unread: 1, last: { shown: { body: "better" } } });
    expect((await one(store.db, BOB, idOf(1)))?.shown.reactions).toEqual([{ emoji: "👍", users: [ADA] }]);
    await apply([fromBob(3, 30, encodeContent({ kind: "delete", target }))]);
    expect((await one(store.db, BOB, idOf(1)))?.shown.kind).toBe("deleted");
  });

  it("what is deleted for me is gone from the screen and from the count", async () => {
    await apply([fromBob(1, 10), fromBob(2, 20)]);
    await store.hide(BOB, idOf(2));
    await apply([fromBob(2, 20)]);
    expect(await screen()).toEqual(["message 1"]);
    expect((await lines(store.db))[0]).toMatchObject({ unread: 1, last: { shown: { body: "message 1" } } });
  });

  it("what cannot be read keeps its bytes and its place", async () => {
    const payload = { payload: new Uint8Array([162, 6, 2, 10, 0]), content_type: 1, alg: 0 };
    await apply([fromBob(1, 10, payload)]);
    const found = await one(store.db, BOB, idOf(1));
    expect(found?.shown.kind).toBe("unknown");
    expect(found?.row.payload).toEqual(payload.payload);
  });
});

describe("pages", () => {
  beforeEach(() => apply(Array.from({ length: 30 }, (_, i) => fromBob(i + 1, 10 * (i + 1)))));
  const spot = (number: number) => [10 * number, BOB, idOf(number)] as const;
  const numbers = (rows: readonly ShownRow[]) => rows.map(({ row }) => row.seq);

  it("the newest, and those before", async () => {
    const newest = await page(store.db, TALK, {}, 10);
    expect(numbers(newest.messages)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    expect([newest.moreBefore, newest.moreAfter]).toEqual([true, false]);
    const before = await page(store.db, TALK, { before: spot(11) }, 10);
    expect(numbers(before.messages)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(before.moreBefore).toBe(false);
  });

  it("those after, and around", async () => {
    const after = await page(store.db, TALK, { after: spot(27) }, 10);
    expect([numbers(after.messages), after.moreAfter]).toEqual([[28, 29, 30], false]);
    const around = await page(store.db, TALK, { around: spot(15) }, 6);
    expect(numbers(around.messages)).toEqual([12, 13, 14, 15, 16, 17]);
    expect([around.moreBefore, around.moreAfter]).toEqual([true, true]);
  });
});

it("search finds every word, in any case and without marks, newest first", async () => {
  await apply([fromBob(1, 10, text("Grüße aus Köln")), fromBob(2, 20, text("gruss")), fromBob(3, 30, text("KOLN"))]);
  const find = async (...wanted: string[]) =>
    words(await search(store.db, wanted.map(plain), { conversations: [TALK], before: undefined }, 10));
  expect(await find("köln")).toEqual(["KOLN", "Grüße aus Köln"]);
  expect(await find("aus", "GRÜ")).toEqual(["Grüße aus Köln"]);
  expect(await find("nothing")).toEqual([]);
});

it("gaps are kept, and only the newest are told", async () => {
  expect(await gaps(store.db)).toEqual([]);
  for (let at = 1; at <= 70; at++) await apply([fromBob(at, at), { save_gap: { at } }]);
  expect(await gaps(store.db)).toEqual(Array.from({ length: 64 }, (_, n) => n + 7));
});

describe("changes", () => {
  it("tell what is new, changed, hidden and lost, once", async () => {
    const mine = await send("mine");
    const first = await changes(store.db, 0);
    expect(words(first.added)).toEqual(["mine"]);
    await apply([fromBob(1, 10), accepted(mine, 5, 20), { save_gap: { at: 99 } }]);
    const second = await changes(store.db, first.position);
    expect([words(second.added), words(second.changed)]).toEqual([["message 1"], ["mine"]]);
    expect([second.gaps, second.conversations]).toEqual([[99], [TALK]]);
    await store.hide(BOB, idOf(1));
    const third = await changes(store.db, second.position);
    expect(third.hidden.map((row) => row.message_id)).toEqual([idOf(1)]);
    await store.setLocal(TALK, { pinned: true });
    const fourth = await changes(store.db, third.position);
    expect(fourth).toMatchObject({ added: [], changed: [], hidden: [], conversations: [TALK], more: false });
    expect((await changes(store.db, fourth.position)).conversations).toEqual([]);
  });

  it("tell the message that an edit is about", async () => {
    await apply([fromBob(1, 10)]);
    const { position } = await changes(store.db, 0);
    const target = { sender: BOB, message_id: idOf(1) };
    await apply([fromBob(2, 20, encodeContent({ kind: "edit", target, body: "better", mentions: [] }))]);
    const found = await changes(store.db, position);
    expect([words(found.added), words(found.changed)]).toEqual([[], ["better"]]);
  });

  it("come in parts when there are many", async () => {
    await apply(Array.from({ length: 1500 }, (_, i) => fromBob(i + 1, i + 1)));
    const first = await changes(store.db, 0);
    expect([first.added.length, first.more]).toEqual([1024, true]);
    const second = await changes(store.db, first.position);
    expect([second.added.length, second.more]).toEqual([476, false]);
  });
});

it("a commit that fails leaves nothing behind", async () => {
  const failing = store.transact(async (work) => {
    work.setMeta({ seq: 5 });
    await work.seen(TALK, 5);
    throw new RangeError("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(await load()).toMatchObject({ seq: 0, conversations: [] });
});

it("a commit is one transaction, and waits for the disk", async () => {
  const began: unknown[] = [];
  const transaction = store.db.transaction.bind(store.db) as (...given: unknown[]) => unknown;
  Object.assign(store, {
    db: { transaction: (...given: unknown[]) => began.push(given.slice(1)) && transaction(...given) },
  });
  await apply([fromBob(1, 10), fromBob(2, 20), { save_cursor: { seq: 2, rev: 0 } }]);
  expect(began).toEqual([["readwrite", { durability: "strict" }]]);
});

it("who has lost the profile to another tab writes no more", async () => {
  await send("one");
  const { queued } = await store.hold("another");
  expect(queued.map(({ conversation, answered }) => [conversation, answered])).toEqual([[TALK, false]]);
  await expect(apply([fromBob(1, 10)])).rejects.toThrow("another tab has taken the connection over");
  await store.apply([fromBob(1, 10)], "another");
  expect(await screen()).toEqual(["message 1", "one"]);
});

it("names of people: a handle has one holder", async () => {
  await store.putPerson({ user: ADA, handle: "ada", name: "Ada", seen_at: 1 });
  await store.putPerson({ user: BOB, handle: "ada", name: "Bob", seen_at: 2 });
  expect(await store.person(ADA)).toBeUndefined();
  expect((await store.personOf("ada"))?.user).toBe(BOB);
});
