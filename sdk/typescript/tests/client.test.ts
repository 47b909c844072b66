/** IrisClient without a connection: what it keeps, shows and tells. The server is scripted. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { IrisClient as Client, OpenOptions } from "../src/client.js";
import type { Event } from "../src/events.js";
import { comparePlaces } from "../src/events.js";
import { userText } from "../src/ids.js";
import { IrisClient } from "../src/iris.js";
import { ProfileStore } from "../src/store/store.js";
import { databaseName } from "../src/tabs.js";
import { ADA, BOB, fromBob, HOLDER, idOf, refused, TALK, text } from "./profiles.js";
import { soon, Virtual } from "./virtual.js";

const [ADA_TEXT, BOB_TEXT] = [userText(ADA), userText(BOB)];
let world: Virtual;
let answers: Map<string, () => Response | Error>;
let asked: string[];
let options: OpenOptions;
let client: Client;
let seen: Event[];
let made = 0;
const opened: Client[] = [];

const json =
  (body: unknown, status = 200) =>
  () =>
    new Response(JSON.stringify(body), { status });
const session = (device: number, user = ADA_TEXT) =>
  json({ user_id: user, handle: "ada", device, access_token: "a", expires_at: 2e12, refresh_token: "r" }, 201);
const problem = (status: number, title: string) => json({ title, status, code: 1, detail: "" }, status);

async function fetch(url: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const asking = `${init.method} ${new URL(String(url)).pathname}`;
  asked.push(asking);
  const answer = answers.get(asking)?.() ?? new Error("no network");
  if (answer instanceof Error) throw answer;
  return answer;
}

const given = { handle: "ada", password: "p", deviceName: "d" };

beforeEach(async () => {
  world = new Virtual();
  made += 1;
  answers = new Map([["POST /v1/sessions", session(1)]]);
  asked = [];
  const platform = world.platform(fetch);
  options = { server: "http://127.0.0.1:1", platform, profile: `client-${made}`, hold: false };
  client = await IrisClient.logIn(options, given);
  opened.push(client);
  seen = [];
  client.on((event) => seen.push(event));
});

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** Writes as the tab that holds the connection makes them. */
async function apply(...writes: Parameters<ProfileStore["apply"]>[0][number][]): Promise<void> {
  const store = await ProfileStore.open(databaseName(`client-${made}`), () => undefined);
  await store.hold(HOLDER);
  await store.apply(writes, HOLDER);
  store.close();
  const channel = options.platform.openChannel("iris");
  channel.post({ kind: "committed" });
  channel.close();
}

const added = () => seen.flatMap((event) => (event.kind === "messages" ? event.added : []));
const meta = async (key: string) => {
  const store = await ProfileStore.open(databaseName(`client-${made}`), () => undefined);
  const value = await store.getMeta(key);
  store.close();
  return value;
};

describe("a profile", () => {
  it("says whose it is, and keeps everything until it is erased", async () => {
    const info = { server: "http://127.0.0.1:1", user: ADA_TEXT, handle: "ada", device: 1 };
    expect(await IrisClient.profile(options)).toEqual(info);
    expect(world.kept).toBe(1);
    await client.send(BOB_TEXT, "hello");
    await client.setSetting("theme", "dark");
    await client.close();
    client = await IrisClient.open(options);
    opened.push(client);
    expect(await client.waiting()).toBe(1);
    expect(await client.setting("theme")).toBe("dark");
    await client.close();
    await IrisClient.erase(options);
    expect(await IrisClient.profile(options)).toBeUndefined();
    await expect(IrisClient.open(options)).rejects.toMatchObject({ name: "ProfileError" });
  });

  it("is of one server", async () => {
    const other = { ...options, server: "https://elsewhere.example" };
    await expect(IrisClient.open(other)).rejects.toThrow("the profile is of http://127.0.0.1:1");
  });

  it("becomes the new device of a log-in; the old one is unlinked", async () => {
    await apply(fromBob(1, 10), { save_cursor: { seq: 1, rev: 4 } });
    await client.close();
    answers.set("POST /v1/sessions", session(2));
    answers.set("DELETE /v1/devices/1", () => new Response(null, { status: 204 }));
    client = await IrisClient.logIn(options, given);
    opened.push(client);
    expect([client.device, await meta("seq"), await meta("rev")]).toEqual([2, 0, 0]);
    expect((await client.messages(TALK)).messages).toHaveLength(1);
    expect(asked).toContain("DELETE /v1/devices/1");
  });

  it("a log-in whose answer was lost is asked again", async () => {
    await client.close();
    await IrisClient.erase(options);
    let tries = 0;
    answers.set("POST /v1/sessions", () => {
      tries += 1;
      return tries === 1 ? new Error("cut") : session(1)();
    });
    opened.push(await IrisClient.logIn(options, given));
    expect(tries).toBe(2);
  });

  it("is kept when a log-out does not reach the server, unless it is forced", async () => {
    await expect(client.logOut()).rejects.toMatchObject({ name: "Offline" });
    expect(await IrisClient.profile(options)).toBeDefined();
    await client.logOut({ force: true });
    expect(await IrisClient.profile(options)).toBeUndefined();
  });

  it("that is erased in another tab closes this one", async () => {
    await IrisClient.erase(options);
    expect(client.connection).toMatchObject({ state: "closed", reason: "ProfileError" });
    await expect(client.send(BOB_TEXT, "hello")).rejects.toMatchObject({ name: "ClientClosed" });
  });
});

describe("sending", () => {
  it("counts mentions in UTF-16 units here and in code points on the wire", async () => {
    const words = "👋👋 @bob 👋 @bob";
    const mentions = [
      { start: 5, length: 4, user: BOB_TEXT },
      { start: 13, length: 4, user: BOB_TEXT },
    ];
    expect(mentions.map(({ start, length }) => words.slice(start, start + length))).toEqual(["@bob", "@bob"]);
    const { messageId } = await client.send(TALK, { text: words, mentions });
    const found = await client.message({ sender: ADA_TEXT, messageId });
    expect(found?.body).toMatchObject({ text: words, mentions });
  });

  it("refuses what cannot be sent, before it is in the outbox", async () => {
    await expect(client.send(BOB_TEXT, "x".repeat(70_000))).rejects.toMatchObject({ name: "PayloadTooLarge" });
    await expect(client.send(ADA_TEXT, "me")).rejects.toMatchObject({ name: "SELF" });
    await expect(client.send("c".repeat(64), "them")).rejects.toMatchObject({ name: "BAD_CONVERSATION" });
    await expect(async () => client.send(BOB_TEXT, "\ud83d")).rejects.toBeInstanceOf(RangeError);
    expect(await client.waiting()).toBe(0);
  });

  it("is full at its limit", async () => {
    await client.close();
    client = await IrisClient.open({ ...options, limits: { outbox_messages_max: 1 } });
    opened.push(client);
    await client.send(BOB_TEXT, "one");
    await expect(client.send(BOB_TEXT, "two")).rejects.toMatchObject({ name: "OutboxFull" });
  });

  it("sends again only what was refused", async () => {
    const { messageId } = await client.send(TALK, "hello");
    const target = { conversation: TALK, sender: ADA_TEXT, messageId };
    await expect(client.sendAgain(target)).rejects.toBeInstanceOf(RangeError);
    await apply(refused(messageId, 1003));
    await client.sendAgain(target);
    await soon(() => seen.some((event) => event.kind === "removed"));
    const { messages } = await client.messages(TALK);
    expect(messages.map(({ state, body }) => [state, body.kind === "text" && body.text])).toEqual([
      ["queued", "hello"],
    ]);
  });
});

describe("events", () => {
  it("tell every message once, also when many come at once", async () => {
    await apply(...Array.from({ length: 2500 }, (_, i) => fromBob(i + 1, i + 1)));
    await soon(() => added().length >= 2500);
    expect(new Set(added().map(({ messageId }) => messageId)).size).toBe(2500);
    expect(added().length).toBe(2500);
    const last = seen.filter((event) => event.kind === "conversation").at(-1);
    expect(last).toMatchObject({ conversation: { conversation: TALK, unread: 2500, peer: BOB_TEXT } });
  });

  it("reach every tab, whichever sends", async () => {
    const other = await IrisClient.open(options);
    opened.push(other);
    const heard: Event[] = [];
    other.on((event) => heard.push(event));
    const { messageId } = await client.send(TALK, "hello");
    await soon(() => heard.some((event) => event.kind === "messages" && event.added[0]?.messageId === messageId));
    await other.pin(TALK, true);
    await soon(() => seen.some((event) => event.kind === "conversation" && event.conversation.pinned));
    await client.deleteForMe({ conversation: TALK, sender: ADA_TEXT, messageId });
    await soon(() => heard.some((event) => event.kind === "removed" && event.messageIds[0] === messageId));
  });

  it("reach the others when one listener throws", async () => {
    const uncaught: unknown[] = [];
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => uncaught.push(error.message));
    try {
      client.on(() => {
        throw new Error("a fault of the application's");
      });
      const heard: Event[] = [];
      client.on((event) => heard.push(event));
      await client.send(TALK, "hello");
      await soon(() => heard.length > 0 && uncaught.length > 0);
      expect(uncaught[0]).toBe("a fault of the application's");
      expect(client.connection.state).not.toBe("closed");
      await client.send(TALK, "and again");
    } finally {
      await soon(() => uncaught.length >= 4); // two commits, a message and a line each
      process.removeAllListeners("uncaughtException");
      for (const one of before) process.on("uncaughtException", one);
    }
  });

  it("come as an iterator too, and end with the client", async () => {
    const texts: string[] = [];
    const reader = (async () => {
      for await (const event of client.events()) if (event.kind === "messages") texts.push(String(event.added.length));
    })();
    await client.send(TALK, "one");
    await soon(() => texts.length === 1);
    await client.close();
    await reader;
    expect(texts).toEqual(["1"]);
  });

  it("of a reader who is too slow end with an error", async () => {
    const slow = client.events();
    for (let i = 0; i < 10_001; i++) {
      const profile = { user: BOB_TEXT, handle: "bob", name: "" };
      const channel = options.platform.openChannel("iris");
      channel.post({ kind: "profile", profile });
      channel.close();
    }
    const drain = async () => {
      for await (const _ of slow);
    };
    await expect(drain()).rejects.toThrow("too slow");
  });
});

describe("the list", () => {
  it("has pinned ones first, then the newest; a reaction does not move a line", async () => {
    const cyn = userText("c".repeat(32).replace("c", "0"));
    await client.send(cyn, "older");
    await apply(fromBob(1, world.time + 5000));
    const peers = async () => (await client.conversations()).map(({ peer }) => peer);
    expect(await peers()).toEqual([BOB_TEXT, cyn]);
    await client.pin(client.conversationWith(cyn), true);
    expect(await peers()).toEqual([cyn, BOB_TEXT]);
    const before = await client.conversation(TALK);
    const target = { conversation: TALK, sender: BOB_TEXT, messageId: idOf(1) };
    await client.react(target, "👍");
    const after = await client.conversation(TALK);
    expect([after.lastAt, after.unread]).toEqual([before.lastAt, 1]);
    expect(after.last?.reactions).toEqual([{ emoji: "👍", users: [ADA_TEXT] }]);
  });

  it("has drafts, mutes and archives; a conversation without anything is not on it", async () => {
    expect((await client.conversation(BOB_TEXT)).lastAt).toBe(0);
    expect(await client.conversations()).toEqual([]);
    await client.setDraft(TALK, "typ");
    await client.mute(TALK, Number.POSITIVE_INFINITY);
    await client.archive(TALK, true);
    const [line] = await client.conversations();
    expect(line).toMatchObject({ draft: "typ", mutedUntil: Number.POSITIVE_INFINITY, archived: true, pinned: false });
  });

  it("is read up to where it was read", async () => {
    await apply(fromBob(1, 10), fromBob(2, 20), fromBob(3, 30));
    await client.markRead(TALK, 2);
    expect((await client.firstUnread(TALK))?.messageId).toBe(idOf(3));
    expect(await client.conversation(TALK)).toMatchObject({ unread: 1, readSeq: 2 });
    await client.markRead(TALK);
    expect(await client.conversation(TALK)).toMatchObject({ unread: 0, readSeq: 3 });
    await client.markRead(TALK, 1);
    expect(await client.conversation(TALK)).toMatchObject({ readSeq: 3 });
  });
});

it("places sort as the screen does", async () => {
  await apply(fromBob(2, 20), fromBob(1, 10));
  await client.send(TALK, "mine");
  const { messages } = await client.messages(TALK);
  expect([...messages].reverse().sort((a, b) => comparePlaces(a.place, b.place))).toEqual(messages);
  const middle = messages[1]?.place;
  if (middle === undefined) throw new Error("no place");
  expect((await client.messages(TALK, { before: middle })).messages).toEqual(messages.slice(0, 1));
  expect((await client.messages(TALK, { after: middle })).messages).toEqual(messages.slice(2));
  expect((await client.messages(TALK, { around: middle })).messages).toEqual(messages);
});

it("search finds what was said last, after an edit", async () => {
  await apply(fromBob(1, 10, text("the old words")));
  const { messageId } = await client.send(TALK, "mine");
  await client.edit({ conversation: TALK, sender: ADA_TEXT, messageId }, "other words");
  const find = async (words: string) => (await client.search(words)).map((found) => found.messageId);
  expect(await find("WORDS")).toEqual([messageId, idOf(1)]);
  expect(await find("mine")).toEqual([]);
  expect(await find(" ")).toEqual([]);
});

describe("people", () => {
  const bob = json({ user_id: BOB_TEXT, handle: "bob", name: "Bob" });

  it("are asked for once an hour, and known without the server afterwards", async () => {
    await expect(client.resolve("@bob")).rejects.toMatchObject({ name: "Offline" });
    answers.set("GET /v1/handles/bob", bob);
    expect([await client.resolve("@Bob"), await client.resolve("bob")]).toEqual([BOB_TEXT, BOB_TEXT]);
    expect(asked.filter((one) => one.endsWith("/bob"))).toHaveLength(2);
    expect(seen).toContainEqual({ kind: "profile", profile: { user: BOB_TEXT, handle: "bob", name: "Bob" } });
    world.pass(3_600_001);
    answers.delete("GET /v1/handles/bob");
    expect(await client.resolve("bob")).toBe(BOB_TEXT);
    expect(asked.filter((one) => one.endsWith("/bob"))).toHaveLength(3);
    answers.set("GET /v1/handles/bob", problem(404, "UNKNOWN_USER"));
    await expect(client.resolve("bob")).rejects.toMatchObject({ name: "UNKNOWN_USER" });
  });

  it("have names when anybody knows them", async () => {
    expect(await client.profile(BOB_TEXT)).toBeUndefined();
    answers.set(`GET /v1/users/${BOB_TEXT}`, bob);
    const both = await Promise.all([client.profile(BOB_TEXT), client.profile(BOB_TEXT)]);
    expect(both).toEqual([1, 2].map(() => ({ user: BOB_TEXT, handle: "bob", name: "Bob" })));
    expect(asked.filter((one) => one.includes("/users/"))).toHaveLength(2);
    expect(await client.resolve(TALK)).toBe(BOB_TEXT);
    expect(client.peerOf(TALK)).toBe(BOB_TEXT);
    expect(client.conversationWith(BOB_TEXT)).toBe(TALK);
  });
});
