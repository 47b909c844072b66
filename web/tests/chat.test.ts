/** An open conversation: paging, new messages, reading, jumping. */

import { describe, expect, test } from "vitest";
import { ChatModel, HELD_MAX, KEPT_MAX } from "../src/models/chat.js";
import { keyOf, timeline } from "../src/models/timeline.js";
import { BOB, FakeIris } from "./fake.js";
import { FakePorts, settle } from "./ports.js";

async function opened(history = 0, read = true) {
  const ports = new FakePorts();
  const iris = new FakeIris(() => ports.now());
  const conversation = iris.conversationWith(BOB);
  for (let n = 0; n < history; n += 1) iris.arrive(BOB, `message ${n}`, ports.now() - (history - n) * 1000, true);
  if (read && history > 0) await iris.markRead(conversation);
  const chat = new ChatModel(iris, conversation, ports);
  iris.on((event) => {
    if (event.kind === "messages") chat.onMessages(event.added, event.changed);
    if (event.kind === "removed") chat.onRemoved(event.messageIds);
  });
  await chat.open();
  return { ports, iris, conversation, chat };
}

const texts = (chat: ChatModel) => chat.messages.value.map((one) => (one.body.kind === "text" ? one.body.text : ""));

describe("paging", () => {
  test("ten thousand messages are never more than a few hundred here", async () => {
    const { chat } = await opened(10_000);
    expect(chat.messages.value.length).toBeLessThanOrEqual(60);
    for (let n = 0; n < 30; n += 1) await chat.older();
    expect(chat.messages.value).toHaveLength(KEPT_MAX);
    expect(chat.moreAfter.value).toBe(true);
    expect(chat.moreBefore.value).toBe(true);
    const top = texts(chat)[0];
    await chat.newer();
    expect(chat.messages.value).toHaveLength(KEPT_MAX);
    expect(texts(chat)[0]).not.toBe(top);
  });

  test("pages follow each other without a gap or a repeat", async () => {
    const { chat } = await opened(400);
    while (chat.moreBefore.value) await chat.older();
    const seen = new Set(texts(chat));
    while (chat.moreAfter.value) {
      await chat.newer();
      for (const text of texts(chat)) seen.add(text);
    }
    expect(seen.size).toBe(400);
    expect(texts(chat)).toEqual(Array.from({ length: KEPT_MAX }, (_, n) => `message ${400 - KEPT_MAX + n}`));
  });

  test("two calls at once fetch one page", async () => {
    const { chat, iris } = await opened(400);
    const before = iris.pages;
    await Promise.all([chat.older(), chat.older()]);
    expect(iris.pages).toBe(before + 1);
  });
});

describe("new messages", () => {
  test("at the end they are shown and read", async () => {
    const { chat, iris, conversation } = await opened(3);
    const message = iris.arrive(BOB, "news");
    expect(texts(chat).at(-1)).toBe("news");
    expect(iris.reads.at(-1)).toEqual([conversation, message.seq]);
    expect(chat.announced.value?.messageId).toBe(message.messageId);
  });

  test("nothing is read while the page is behind another", async () => {
    const { chat, iris, ports } = await opened(1);
    ports.front = false;
    const before = iris.reads.length;
    iris.arrive(BOB, "news");
    expect(iris.reads).toHaveLength(before);
    ports.front = true;
    chat.readAll();
    expect(iris.reads).toHaveLength(before + 1);
  });

  test("with the end out of sight they are counted, and shown by a jump to the end", async () => {
    const { chat, iris } = await opened(400);
    for (let n = 0; n < 6; n += 1) await chat.older();
    chat.setAtEnd(false);
    iris.arrive(BOB, "one");
    iris.arrive(BOB, "two");
    expect(chat.below.value).toBe(2);
    expect(texts(chat)).not.toContain("two");
    await chat.toEnd();
    expect(texts(chat).at(-1)).toBe("two");
    expect(chat.below.value).toBe(0);
  });

  test("one's own message brings the end into sight", async () => {
    const { chat, iris, conversation } = await opened(400);
    for (let n = 0; n < 6; n += 1) await chat.older();
    chat.setAtEnd(false);
    await iris.send(conversation, "mine");
    await settle();
    expect(texts(chat).at(-1)).toBe("mine");
    expect(chat.target.value?.key).toBe(keyOf(chat.messages.value.at(-1) as never));
  });

  test("ten thousand that come at once keep the newest", async () => {
    const { chat, iris, conversation } = await opened(0);
    const added = Array.from({ length: 10_000 }, (_, n) => iris.arrive(BOB, `m${n}`, 1_700_000_000_000 + n, true));
    for (let at = 0; at < added.length; at += 250) {
      iris.emit({ kind: "messages", conversation, added: added.slice(at, at + 250), changed: [] });
    }
    expect(chat.messages.value).toHaveLength(KEPT_MAX);
    expect(texts(chat).at(-1)).toBe("m9999");
    expect(chat.moreBefore.value).toBe(true);
  });

  test("a change is shown, a removal too", async () => {
    const { chat, iris } = await opened(2);
    const [first, second] = chat.messages.value;
    if (first === undefined || second === undefined) throw new Error("two are there");
    iris.change(first, { body: { kind: "deleted" } });
    expect(chat.messages.value[0]?.body.kind).toBe("deleted");
    await iris.deleteForMe(second);
    expect(chat.messages.value).toHaveLength(1);
  });
});

describe("gaps", () => {
  const kinds = (chat: ChatModel, gaps: readonly number[], more = { before: false, after: false }) =>
    timeline(chat.messages.value, undefined, gaps, more)
      .map((item) => (item.kind === "message" ? "." : item.kind))
      .filter((kind) => kind !== "day")
      .join(" ");

  test("stand where this device learned of them, once, and outside the stretch not at all", async () => {
    const { chat } = await opened(3);
    const [first = 0, second = 0, third = 0] = chat.messages.value.map((one) => one.at);
    expect(kinds(chat, [])).toBe(". . .");
    expect(kinds(chat, [first - 9])).toBe("gap . . .");
    expect(kinds(chat, [second, third - 1])).toBe(". gap . gap .");
    expect(kinds(chat, [first + 1, second - 1])).toBe(". gap . .");
    expect(kinds(chat, [third + 1])).toBe(". . . gap");
    expect(kinds(chat, [first - 9, third + 1], { before: true, after: true })).toBe(". . .");
  });

  test("part a group, and an empty conversation shows none", async () => {
    const { chat } = await opened(2);
    const [, second = 0] = chat.messages.value.map((one) => one.at);
    const items = timeline(chat.messages.value, undefined, [second]);
    expect(items.filter((item) => item.kind === "message").map((item) => item.first)).toEqual([true, true]);
    expect(timeline([], undefined, [1])).toEqual([]);
  });
});

describe("loads and news at once", () => {
  test("more events than are held make the stretch be read anew", async () => {
    const { chat, iris } = await opened(400);
    for (let n = 0; n < 6; n += 1) await chat.older();
    const jump = chat.toEnd();
    for (let n = 0; n <= HELD_MAX; n += 1) iris.arrive(BOB, `held ${n}`);
    await jump;
    await settle();
    expect(chat.messages.value).toHaveLength(KEPT_MAX);
    expect(texts(chat).at(-1)).toBe(`held ${HELD_MAX}`);
  });

  test("what is told while a page is fetched is not lost", async () => {
    const { chat, iris } = await opened(400);
    for (let n = 0; n < 6; n += 1) await chat.older();
    const jump = chat.toEnd();
    const news = iris.arrive(BOB, "meanwhile");
    await jump;
    await settle();
    expect(texts(chat).filter((one) => one === "meanwhile")).toHaveLength(1);
    expect(chat.messages.value.at(-1)?.messageId).toBe(news.messageId);
  });

  test("what is told while the conversation is opened is not lost", async () => {
    const { iris, ports, conversation } = await opened(5);
    const again = new ChatModel(iris, conversation, ports);
    iris.on((event) => event.kind === "messages" && again.onMessages(event.added, event.changed));
    const opening = again.open();
    iris.arrive(BOB, "meanwhile");
    await opening;
    await settle();
    expect(texts(again).filter((one) => one === "meanwhile")).toHaveLength(1);
  });

  test("a jump waits for the page before it: the stretch never has a hole", async () => {
    const { chat } = await opened(1000);
    await Promise.all([
      chat.older(),
      chat.jumpTo({ sender: BOB, messageId: (5).toString(16).padStart(32, "0") }),
      chat.older(),
      chat.toEnd(),
    ]);
    await settle();
    const numbers = texts(chat).map((text) => Number(text.split(" ")[1]));
    expect(numbers.at(-1)).toBe(999);
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, n) => 1000 - numbers.length + n));
  });

  test("an old message beyond the upper edge stays there until it is paged in", async () => {
    const { chat, iris, ports } = await opened(400);
    iris.arrive(BOB, "from long ago", ports.now() - 390_500);
    expect(texts(chat)).not.toContain("from long ago");
    while (chat.moreBefore.value) await chat.older();
    expect(texts(chat)).toContain("from long ago");
  });
});

describe("unread", () => {
  test("it opens at the first unread message, with the marker before it", async () => {
    const { chat, iris, ports } = await opened(0);
    void chat;
    for (let n = 0; n < 100; n += 1) iris.arrive(BOB, `old ${n}`, ports.now() + n, true);
    const conversation = iris.conversationWith(BOB);
    await iris.markRead(conversation);
    const first = iris.arrive(BOB, "unread 0", ports.now() + 1000, true);
    for (let n = 1; n < 90; n += 1) iris.arrive(BOB, `unread ${n}`, ports.now() + 1000 + n, true);
    const again = new ChatModel(iris, conversation, ports);
    await again.open();
    expect(again.unread.value).toEqual({ before: keyOf(first), count: 90 });
    expect(again.target.value?.key).toBe(keyOf(first));
    expect(again.atEnd.value).toBe(false);
    expect(again.moreAfter.value).toBe(true);
    const marker = again.items.value.findIndex((item) => item.kind === "unread");
    expect(again.items.value[marker + 1]?.key).toBe(keyOf(first));
  });

  test("what was in sight is read, as far as it was, and never back", async () => {
    const { chat, iris, conversation } = await opened(50, false);
    const reads = () => iris.reads.filter(([of]) => of === conversation).map(([, seq]) => seq);
    const [a, b] = [chat.messages.value[10], chat.messages.value[4]];
    if (a === undefined || b === undefined) throw new Error("both are there");
    chat.seen(keyOf(a));
    chat.seen(keyOf(b));
    expect(reads()).toEqual([a.seq]);
  });
});

describe("jumping", () => {
  test("to a message far away, which is lit for a moment", async () => {
    const { chat, ports } = await opened(1000);
    const far = { sender: BOB, messageId: (5).toString(16).padStart(32, "0") };
    expect(await chat.jumpTo(far)).toBe(true);
    expect(chat.highlighted.value).toBe(keyOf(far));
    expect(chat.messages.value.some((one) => keyOf(one) === keyOf(far))).toBe(true);
    await ports.pass(2_000);
    expect(chat.highlighted.value).toBe("");
  });

  test("a message that is not here is told", async () => {
    const { chat } = await opened(3);
    expect(await chat.jumpTo({ sender: BOB, messageId: "f".repeat(32) })).toBe(false);
  });

  test("a search walks from the newest result to earlier ones", async () => {
    const { chat, ports } = await opened(100);
    chat.search("message 1");
    await ports.pass(200);
    expect(chat.results.value).toHaveLength(11);
    expect(chat.result.value).toBe(0);
    await chat.showResult(1);
    expect(chat.highlighted.value).toBe(keyOf(chat.results.value[1] as never));
    chat.closeSearch();
    expect(chat.results.value).toEqual([]);
  });
});
